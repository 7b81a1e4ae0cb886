"""A server of Debian's python3-pymodbus: unit 1 with the boiler's registers.

usage: pymodbus_server.py tcp PORT | rtutcp PORT | rtu PATH
"""
import sys

from pymodbus.datastore import (ModbusSequentialDataBlock, ModbusServerContext,
                                ModbusSlaveContext)
from pymodbus.server import StartSerialServer, StartTcpServer
from pymodbus.transaction import ModbusRtuFramer

unit = ModbusSlaveContext(
    co=ModbusSequentialDataBlock(0, [False] * 50),
    di=ModbusSequentialDataBlock(0, [False] * 4 + [True] + [False] * 45),
    ir=ModbusSequentialDataBlock(0, [215] + [0] * 49),
    hr=ModbusSequentialDataBlock(0, [0] * 11 + [400] + [0] * 88 + [0x0000, 0x42F6] + [0] * 50),
    zero_mode=True,
)
context = ModbusServerContext(slaves={1: unit}, single=False)
kind, where = sys.argv[1:3]
if kind == "rtu":
    StartSerialServer(context=context, framer=ModbusRtuFramer, port=where, baudrate=115200, timeout=0.1)
elif kind == "rtutcp":
    StartTcpServer(context=context, framer=ModbusRtuFramer, address=("127.0.0.1", int(where)), allow_reuse_address=True)
else:
    StartTcpServer(context=context, address=("127.0.0.1", int(where)), allow_reuse_address=True)

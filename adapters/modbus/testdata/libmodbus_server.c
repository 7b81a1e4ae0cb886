/* A server of libmodbus: unit 1 with the boiler's registers.
 * usage: server tcp PORT | rtu PATH */
#include <modbus/modbus.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_mapping_t *map = modbus_mapping_new(50, 50, 150, 50);
    modbus_t *bus;
    int tcp, listener = -1;

    if (argc != 3 || map == NULL)
        return 2;
    tcp = strcmp(argv[1], "tcp") == 0;
    map->tab_input_bits[4] = 1;
    map->tab_input_registers[0] = 215;
    map->tab_registers[11] = 400;
    map->tab_registers[101] = 0x42F6;
    bus = tcp ? modbus_new_tcp("127.0.0.1", atoi(argv[2])) : modbus_new_rtu(argv[2], 115200, 'N', 8, 1);
    if (bus == NULL)
        return 1;
    modbus_set_slave(bus, 1);
    if (tcp && (listener = modbus_tcp_listen(bus, 1)) < 0)
        return 1;
    if (!tcp && modbus_connect(bus) < 0)
        return 1;
    for (;;) {
        int n;
        if (tcp && modbus_tcp_accept(bus, &listener) < 0)
            return 1;
        while ((n = modbus_receive(bus, query)) >= 0)
            if (n > 0)
                modbus_reply(bus, query, n, map);
        if (!tcp && errno != EMBBADCRC && errno != ETIMEDOUT)
            return 1;
        if (tcp)
            close(modbus_get_socket(bus));
    }
}

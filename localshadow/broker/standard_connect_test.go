package broker_test

import (
	"testing"
	"time"

	"edgeshadow/localshadow/broker"
)

// 3.1: the first packet is a CONNECT [MQTT-3.1.0-1], with a protocol name
// [MQTT-3.1.2-1], reserved flag 0 [MQTT-3.1.2-3], will flags only with a will
// [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-15], and a will QoS up to 2
// [MQTT-3.1.2-14]; else the connection is closed, with no session.
func TestStandard_ConnectRefused(t *testing.T) {
	b, _ := MustServe(t)
	body := func(name string, version, flags byte) []byte {
		return append(append(append(text(name), version, flags, 0, 60), none(max(version, v3))...), text("c")...)
	}
	for name, packet := range map[string][]byte{
		"not a CONNECT":          {pingreq},
		"a PUBLISH":              append([]byte{qos0}, text("x")...),
		"another protocol":       append([]byte{0x10}, body("MQTX", v3, clean)...),
		"a reserved flag":        append([]byte{0x10}, body("MQTT", v3, clean|1)...),
		"will QoS without will":  append([]byte{0x10}, body("MQTT", v3, clean|0x18)...),
		"will QoS 3":             append(append([]byte{0x10}, body("MQTT", v3, clean|4|0x18)...), append(text("w"), text("w")...)...),
		"retain without will":    append([]byte{0x10}, body("MQTT", v3, clean|0x20)...),
		"a cut CONNECT":          {0x10, 0, 4, 'M', 'Q'},
		"no client id":           append([]byte{0x10}, append(text("MQTT"), v3, clean, 0, 60)...),
		"a client id not UTF-8":  append([]byte{0x10}, append(append(text("MQTT"), v3, clean, 0, 60), 0, 1, 0xff)...), // [MQTT-1.5.3-1]
		"a client id with a nul": append([]byte{0x10}, append(append(text("MQTT"), v3, clean, 0, 60), 0, 1, 0)...),    // [MQTT-1.5.3-2]
	} {
		t.Run(name, func(t *testing.T) {
			p := mustDial(t, b)
			p.send(t, packet[0], packet[1:])
			if header, ack, err := p.read(); err == nil && (header != connack || ack[1] == 0) {
				t.Errorf("answered %#x % x", header, ack)
			}
			p.expectClosed(t)
		})
	}
	for _, version := range []byte{3, 6} { // an unknown version is told [MQTT-3.1.2-2]
		p := mustDial(t, b)
		p.send(t, 0x10, body("MQTT", version, clean))
		if header, ack, err := p.read(); err == nil && (header != connack || ack[1] == 0) {
			t.Errorf("version %d: %#x % x", version, header, ack)
		}
		p.expectClosed(t)
	}
	if s := b.Stats(); s.Sessions != 0 {
		t.Errorf("%d sessions", s.Sessions)
	}
}

// 3.1.3.1: an empty client id is given one, for a clean session [MQTT-3.1.3-6];
// without one, 3.1.1 is refused [MQTT-3.1.3-8].
func TestStandard_EmptyClientID(t *testing.T) {
	b, _ := MustServe(t)
	p, present := mustOpen(t, b, v3, "", clean)
	if present {
		t.Error("a session is present")
	}
	p.mustSubscribe(t, v3, 1, "x", 0)
	p.mustPublish(t, v3, 0, "y", "")
	p = mustDial(t, b)
	p.send(t, 0x10, connect(v3, "", 0))
	if ack := p.expect(t, connack); ack[0] != 0 || ack[1] != 2 {
		t.Errorf("CONNACK % x", ack)
	}
	p.expectClosed(t)
}

// 3.1.2.4: a session that lasts is taken up [MQTT-3.1.2-4], [MQTT-3.2.2-2]; a
// clean one discards it [MQTT-3.1.2-6].
func TestStandard_SessionPresent(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		for i, step := range []struct {
			flags   byte
			present bool
		}{{0, false}, {0, true}, {0, true}, {clean, false}} {
			p, present := mustOpen(t, b, version, "c", step.flags, lasting...)
			if present != step.present {
				t.Errorf("step %d: present %v", i, present)
			}
			p.send(t, disconnect)
			p.expectClosed(t)
		}
	})
}

// 3.12: a PINGREQ is answered [MQTT-3.12.4-1].
func TestStandard_Ping(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		p, _ := mustOpen(t, b, version, "c", clean)
		p.send(t, pingreq)
		if body := p.expect(t, pingresp); len(body) != 0 {
			t.Errorf("PINGRESP % x", body)
		}
	})
}

// 3.1.2.10: a client that is silent for 1.5 times its keep-alive is gone
// [MQTT-3.1.2-24], and its will is sent [MQTT-3.1.2-8].
func TestStandard_KeepAlive(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		watch, _ := mustOpen(t, b, version, "watch", clean)
		watch.mustSubscribe(t, version, 1, "will/#", 2)
		p := mustDial(t, b)
		body := append(text("MQTT"), version, clean|4|0x10, 0, 1)
		began := time.Now()
		p.send(t, 0x10, body, none(version), text("c"), none(version), text("will/c"), text("silent"))
		p.expect(t, connack)
		if version == v5 {
			if got := p.expect(t, disconnect); got[0] != 0x8d {
				t.Errorf("DISCONNECT %#x", got[0])
			}
		}
		p.expectClosed(t)
		if got := time.Since(began); got < 1500*time.Millisecond {
			t.Errorf("silent for %v only", got)
		}
		if m := watch.expectPublish(t, version); m.payload != "silent" || m.header != qos2 {
			t.Errorf("will %#x %q", m.header, m.payload)
		}
	})
}

// 3.1.2.10: one and a half of the longest keep-alives are more than 65535 s.
func TestStandard_LongKeepAlive(t *testing.T) {
	b, _ := MustServe(t)
	p := mustDial(t, b)
	p.send(t, 0x10, append(text("MQTT"), v3, clean, 0xaa, 0xab), text("c")) // 43691
	p.expect(t, connack)
	for range 3 {
		p.send(t, pingreq)
		p.expect(t, pingresp)
	}
}

package broker

import (
	"context"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindBeside binds an address that overlaps with those of listeners that are
// about to leave, as :1883 does with 127.0.0.1:1883. For that moment the sockets
// allow each other; afterwards none allows another, so that an address that is
// taken stays an error.
func bindBeside(address string, leaving []*listener) (net.Listener, error) {
	for _, l := range leaving {
		if share(l.net, 1) == nil {
			defer func() { _ = share(l.net, 0) }()
		}
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return shareRaw(c, 1) }}
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	return l, share(l, 0)
}

func share(l net.Listener, allow int) error {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return errors.ErrUnsupported
	}
	c, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	return shareRaw(c, allow)
}

func shareRaw(c syscall.RawConn, allow int) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, allow)
	})
	return errors.Join(err, failed)
}

package localshadow

import (
	"errors"
	"syscall"
)

// AccessError says that the store can't be opened for want of permission, or
// because its file system is mounted read-only.
type AccessError struct {
	Path string
	Err  error
}

func (e *AccessError) Error() string { return e.Err.Error() }
func (e *AccessError) Unwrap() error { return e.Err }

// Hint is the cure, for operators.
func (e *AccessError) Hint() string { return AccessHint(e.Path, e.Err) }

// AccessHint is the cure for a path that err says can't be used.
func AccessHint(path string, err error) string {
	if errors.Is(err, syscall.EROFS) {
		return "the file system is mounted read-only: findmnt -T " + path + "; after a fault of the disk, which dmesg tells, mount -o remount,rw"
	}
	return "chown -R edgeshadow: " + path
}

// withCure makes an AccessError of an error that is one.
func withCure(path string, err error) error {
	for _, errno := range []syscall.Errno{syscall.EROFS, syscall.EACCES, syscall.EPERM} {
		if errors.Is(err, errno) {
			return &AccessError{path, err}
		}
	}
	return err
}

package localshadow

import (
	"fmt"
	"syscall"
)

// minFree is what the file system must have left for a write to begin. Badger
// maps sparse log files into memory; a page that the disk cannot back is not an
// error but SIGBUS, at the write and again at every open. Two rotations of
// memtable and table fit into half of it: 2*(2*4+4) MiB, and slack. The other
// half is left by a merge, which asks for the room of its copy first.
const minFree = 64 << 20

// Space is what the file system of the store has left, and what a write needs,
// in bytes.
type Space struct{ Free, Need uint64 }

// Space asks the file system.
func (s *Store) Space() (Space, error) { return SpaceAt(s.path) }

// SpaceAt is what a store at path would have.
func SpaceAt(path string) (Space, error) {
	free, err := freeSpace(path)
	return Space{Free: free, Need: minFree}, err
}

// DiskFullError says that the store does not write, or open, for lack of space.
// Reading goes on, and so does writing as soon as there is space again.
type DiskFullError struct {
	Path       string
	Free, Need uint64
}

func (e *DiskFullError) Error() string {
	return fmt.Sprintf("store %s: disk full: %d MiB free, %d MiB needed", e.Path, e.Free>>20, e.Need>>20)
}

// Hint is the cure, for operators.
func (e *DiskFullError) Hint() string { return fullHint(e.Path) }

func fullHint(path string) string {
	return "free space on the file system of " + path + " (journalctl --vacuum-size=50M, apt-get clean, old store.bad-* folders)"
}

// ErrDiskFull is what every DiskFullError is (errors.Is).
var ErrDiskFull = &DiskFullError{Need: minFree}

func (e *DiskFullError) Is(target error) bool { return target == ErrDiskFull }

// freeSpace is what an unprivileged process may still write below path.
func freeSpace(path string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", path, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

func checkSpace(path string) error {
	free, err := freeSpace(path)
	if err != nil {
		return err
	}
	if free < minFree {
		return &DiskFullError{Path: path, Free: free, Need: minFree}
	}
	return nil
}

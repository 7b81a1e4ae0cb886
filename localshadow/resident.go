package localshadow

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"
)

// evict lets go of the memory that tables lie in. Badger maps them whole and
// keeps them so, and one that it wrote stays resident to the last byte: a store
// would come to count twice, on disk and in memory. What is read comes back page
// by page, from the kernel's cache as long as that has room.
//
// The tables that the database names now stay mapped until the next merge or
// until it is closed. So only the goroutine that merges may call this: any other
// could hit an address that means something else by now.
func (s *Store) evict() error {
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	open := make(map[string]bool)
	for _, t := range s.db.Tables() {
		open[filepath.Join(dir, table.IDToFilename(t.ID))] = true
	}
	maps, err := os.ReadFile("/proc/self/maps") // proc_pid_maps(5)
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		line := lines.Text()
		at := bytes.IndexByte(lines.Bytes(), '/')
		if at < 0 || !open[line[at:]] {
			continue
		}
		var begin, end uintptr
		if _, err := fmt.Sscanf(line, "%x-%x", &begin, &end); err != nil {
			return fmt.Errorf("%q of /proc/self/maps: %w", line, err)
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, begin, end-begin, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("let go of %s: %w", line[at:], errno)
		}
	}
	return nil
}

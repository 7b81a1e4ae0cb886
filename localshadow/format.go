package localshadow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// storeFormat numbers what the store writes, for programs that are older or
// newer than the one that wrote it. Stores before the number was written count
// as 0; format 1 writes the same, and the number.
const storeFormat = 1

// NewerFormatError says that a newer program wrote the store.
type NewerFormatError struct {
	Path        string
	Have, Known int
}

func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("a newer edgeshadow wrote it: format %d, and this one knows %d", e.Have, e.Known)
}

// Hint is the cure, for operators.
func (e *NewerFormatError) Hint() string {
	return fmt.Sprintf("install that version again; or stop the daemon and rename %s.format-%d, the copy that was made before the upgrade, to %[1]s", e.Path, e.Known)
}

// adopt makes a store of an older format one of this program's, after a copy of
// it was made beside it: <store>.format-<n>, one at most. An upgrade that is cut
// off begins anew at the next open.
func (s *Store) adopt() error {
	file := filepath.Join(s.path, "store.format")
	have, err := readFormat(file)
	if err != nil {
		return err
	}
	switch {
	case have == storeFormat:
		return nil
	case have > storeFormat:
		return &NewerFormatError{Path: s.dir, Have: have, Known: storeFormat}
	}
	if _, err := os.Stat(s.dir); err == nil {
		if err := s.keepCopy(have); err != nil {
			return fmt.Errorf("copy the store before its upgrade: %w", err)
		}
		s.log.Info("store upgraded", "from_format", have, "to_format", storeFormat, "copy", s.copyName(have))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeDurably(file, []byte(strconv.Itoa(storeFormat)+"\n"))
}

func readFormat(file string) (int, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0, fmt.Errorf("%s holds no number", file)
	}
	return n, nil
}

func (s *Store) copyName(format int) string { return s.dir + ".format-" + strconv.Itoa(format) }

// keepCopy copies the closed store; older copies go when it is complete.
func (s *Store) keepCopy(format int) error {
	partial := s.dir + ".copying"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := copyDir(s.dir, partial); err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	old, err := filepath.Glob(s.dir + ".format-*")
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	if err := os.Rename(partial, s.copyName(format)); err != nil {
		return err
	}
	return syncDir(s.path)
}

// copyDir copies a flat folder to a new one, which holds all of it when the
// call returns, whatever happens after.
func copyDir(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o750); err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return syncDir(to)
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Sync(), dst.Close())
}

// writeDurably makes a file hold data, all of it or nothing.
func writeDurably(file string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

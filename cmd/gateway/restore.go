package gateway

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"edgeshadow/config"
	"edgeshadow/localshadow"
)

// Restored is what a restore did.
type Restored struct {
	Manifest
	Files    []string // that were written
	SetAside []string // what was there before, under its new name
}

// Restore brings a backup back while no daemon runs. The configuration goes into
// the folder of main, the store and the CA to where that configuration says. All
// of it is unpacked and checked first; then what was there is set aside, and the
// new put into its place. A nil log discards.
func Restore(file, main string, log *slog.Logger) (out Restored, err error) {
	f, err := os.Open(file)
	if err != nil {
		return out, err
	}
	defer f.Close()
	if out.Manifest, err = ReadManifest(f); err != nil {
		return out, fmt.Errorf("%s: %w", file, err)
	}
	if err := os.MkdirAll(filepath.Dir(main), 0o755); err != nil {
		return out, err
	}
	u := &unpacking{main: main, log: log, out: &out}
	if u.staged, err = os.MkdirTemp(filepath.Dir(main), ".restoring-"); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(u.staged)) }()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return out, err
	}
	if err := u.unpack(f); err != nil {
		return out, fmt.Errorf("%s: %w", file, err)
	}
	return out, u.install()
}

// install puts everything into its place.
func (u *unpacking) install() error {
	staged := filepath.Join(u.staged, "config")
	main := u.main
	if u.out.Main != "" {
		main = filepath.Join(staged, u.out.Main)
	}
	cfg, err := config.Load(main)
	if err != nil {
		return fmt.Errorf("the configuration in the backup: %w", err)
	}
	// All of the store's folder is made beside its place, which may be on another
	// file system.
	place := cfg.Store.Path
	fresh := localshadow.Config{Path: filepath.Join(place, "restoring")}
	if err := os.MkdirAll(place, 0o750); err != nil {
		return err
	}
	if err := errors.Join(localshadow.Free(place), os.RemoveAll(fresh.Path)); err != nil {
		return err
	}
	defer os.RemoveAll(fresh.Path)
	dump, err := os.Open(filepath.Join(u.staged, "store.dump"))
	if err != nil {
		return err
	}
	defer dump.Close()
	if err := localshadow.LoadDump(fresh, dump, u.log); err != nil {
		return err
	}
	if err := u.swap(filepath.Join(fresh.Path, "store"), filepath.Join(place, "store")); err != nil {
		return err
	}
	for _, folder := range []string{"pki", "relay"} {
		beside := filepath.Join(fresh.Path, folder)
		if err := copyFolder(filepath.Join(u.staged, folder), beside); err != nil {
			return err
		}
		if err := u.swap(beside, filepath.Join(place, folder)); err != nil {
			return err
		}
	}
	return filepath.WalkDir(staged, func(from string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && e.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(staged, from)
		if err != nil {
			return err
		}
		to := filepath.Join(filepath.Dir(u.main), name)
		if name == u.out.Main {
			to = u.main
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return u.swap(from, to)
	})
}

// copyFolder copies files with their modes; none is there when it is not.
func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.OpenFile(filepath.Join(to, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		return errors.Join(err, out.Sync(), out.Close())
	})
}

// swap puts from in the place of to, and to aside. Without from nothing happens.
func (u *unpacking) swap(from, to string) error {
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(to); err == nil {
		aside, err := freeName(to + ".before-restore")
		if err != nil {
			return err
		}
		if err := os.Rename(to, aside); err != nil {
			return err
		}
		u.out.SetAside = append(u.out.SetAside, aside)
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if err := adopt(to); err != nil {
		return err
	}
	u.out.Files = append(u.out.Files, to)
	return nil
}

func freeName(base string) (string, error) {
	for n := 1; ; n++ {
		name := base + "-" + strconv.Itoa(n)
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
}

// adopt gives what root put into a folder to the folder's owner and group: the
// daemon is not root.
func adopt(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	return filepath.WalkDir(path, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, int(owner.Uid), int(owner.Gid))
	})
}

package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// references are the values, by shape, that name a file which holds a
// certificate, a key, the hash of a password or a policy. The packages get its absolute path; the content never
// passes through here.
var references = map[string]bool{
	"broker.listeners[].tls.certificate": true,
	"broker.listeners[].tls.key":         true,
	"broker.listeners[].tls.client_ca":   true,
	"access.policies.*":                  true,
	"access.principals[].password":       true,
	"things.*.ble.bindkey":               true,
	"cloud.certificate":                  true,
	"cloud.key":                          true,
	"cloud.ca":                           true,
}

// byEnvironment are the references that may name a variable of the environment.
// The package reads it: env:NAME.
var byEnvironment = map[string]bool{"things.*.ble.bindkey": true, "access.principals[].password": true}

// keyDigits is a key that was written where a reference to it belongs.
var keyDigits = regexp.MustCompile(`^[0-9A-Fa-f]{24,}$`)

// reference is what a package gets for the reference at a shape.
func reference(shape, ref, holder string) (value, hint string, err error) {
	if name, is := strings.CutPrefix(ref, "env:"); is && byEnvironment[shape] && name != "" {
		return ref, "", nil
	}
	return resolve(ref, holder)
}

// resolve is the absolute path of what a reference names: file:PATH, relative
// to the file that holds the reference, or cred:NAME, a credential that systemd
// passed to the daemon.
func resolve(ref, holder string) (path, hint string, err error) {
	scheme, name, ok := strings.Cut(ref, ":")
	switch {
	case ok && name == "":
		return "", "", fmt.Errorf("%s names nothing", ref)
	case ok && scheme == "file":
		if filepath.IsAbs(name) {
			return filepath.Clean(name), "", nil
		}
		path, err = filepath.Abs(filepath.Join(filepath.Dir(holder), name))
		return path, "", err
	case ok && scheme == "cred":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", "LoadCredential=" + name + ":PATH in the unit", errors.New("systemd passed no credentials")
		}
		if name != filepath.Base(name) || name == ".." || name == "." {
			return "", "", fmt.Errorf("%q is no name of a credential", name)
		}
		return filepath.Join(dir, name), "", nil
	case ok && scheme == "env":
		return "", "file:PATH and cred:NAME are", errors.New("env: is not available here in this version")
	case strings.HasPrefix(ref, "-----BEGIN"), keyDigits.MatchString(ref):
		return "", "put it into a file: file:PATH", errors.New("want a reference, have the thing itself")
	}
	return "", "did you mean file:" + ref + "?", fmt.Errorf("want a reference, have %q", ref)
}

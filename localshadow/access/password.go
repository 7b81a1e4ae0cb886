package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// What argon2id costs: 19 MiB and two passes, the least that OWASP recommends,
// some tens of milliseconds on a Pi.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32

	// What a hash of somebody else's making may cost here.
	maxArgonMemory = 128 << 10 // KiB
	maxArgonTime   = 10
	maxBcryptCost  = 14

	maxPassword = 1024 // bytes
	maxHashFile = 4096
	maxLogins   = 1024 // that are remembered

	// hashing is how many passwords are checked at once: each takes memory.
	hashing = 2
)

var errPassword = errors.New("no such user, or a wrong password")

// HashPassword makes the line that a password file holds.
func HashPassword(password []byte) (string, error) {
	switch {
	case len(password) == 0:
		return "", errors.New("the password is empty")
	case len(password) > maxPassword:
		return "", fmt.Errorf("a password has at most %d bytes", maxPassword)
	}
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey(password, salt, argonTime, argonMemory, argonThreads, argonKey)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// readHash reads the line that HashPassword makes, or one of bcrypt, from a file
// or, as env:NAME, from the environment. Its errors never hold what was read.
func readHash(where string) (string, error) {
	text, err := readLine(where)
	if err != nil {
		return "", err
	}
	hash := strings.TrimSpace(text)
	if _, err := parseHash(hash); err != nil {
		return "", fmt.Errorf("%s: %w; edgeshadow access passwd makes one", where, err)
	}
	return hash, nil
}

func readLine(where string) (string, error) {
	if name, ok := strings.CutPrefix(where, "env:"); ok {
		text, ok := os.LookupEnv(name)
		if !ok {
			return "", fmt.Errorf("the environment has no %s", name)
		}
		return text, nil
	}
	f, err := os.Open(where)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHashFile))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", where, err)
	}
	return string(text), nil
}

// parsed is a hash of argon2id; a nil key stands for one of bcrypt.
type parsed struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

func parseHash(hash string) (p parsed, err error) {
	if strings.HasPrefix(hash, "$2") {
		cost, err := bcrypt.Cost([]byte(hash))
		if err == nil && cost > maxBcryptCost {
			err = fmt.Errorf("bcrypt cost %d is more than %d", cost, maxBcryptCost)
		}
		return p, err
	}
	fields := strings.Split(hash, "$")
	if len(fields) != 6 || fields[1] != "argon2id" {
		return p, errors.New("no hash of argon2id or bcrypt")
	}
	var version int
	if _, err := fmt.Sscanf(fields[2]+" "+fields[3], "v=%d m=%d,t=%d,p=%d", &version, &p.memory, &p.time, &p.threads); err != nil {
		return p, errors.New("an argon2id hash without its parameters")
	}
	if version != argon2.Version || p.memory < 8 || p.memory > maxArgonMemory || p.time < 1 || p.time > maxArgonTime || p.threads < 1 {
		return p, fmt.Errorf("an argon2id hash with parameters beyond m=%d,t=%d", maxArgonMemory, maxArgonTime)
	}
	p.salt, err = base64.RawStdEncoding.DecodeString(fields[4])
	if err == nil {
		p.key, err = base64.RawStdEncoding.DecodeString(fields[5])
	}
	if err != nil || len(p.salt) < 8 || len(p.key) < 16 || len(p.key) > 64 {
		return p, errors.New("an argon2id hash whose salt or key can't be read")
	}
	return p, nil
}

// logins checks passwords, and remembers those that were right: over HTTP each
// request brings one. The zero value is ready.
type logins struct {
	once   sync.Once
	places chan struct{}
	secret []byte

	mu    sync.Mutex
	right map[[sha256.Size]byte]struct{}
}

// mark is what is remembered of a password that is right for a hash.
func (l *logins) mark(hash string, password []byte) [sha256.Size]byte {
	l.once.Do(func() {
		l.places = make(chan struct{}, hashing)
		l.secret = make([]byte, 32)
		_, _ = rand.Read(l.secret) // never fails
	})
	mac := hmac.New(sha256.New, l.secret)
	fmt.Fprintf(mac, "%d %s", len(hash), hash)
	mac.Write(password)
	return [sha256.Size]byte(mac.Sum(nil))
}

// remembers tells whether a password was right before.
func (l *logins) remembers(hash string, password []byte) bool {
	mark := l.mark(hash, password)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.right[mark]
	return known
}

// check tells whether a password is the one of a hash.
func (l *logins) check(hash string, password []byte) bool {
	if len(password) > maxPassword {
		return false
	}
	mark := l.mark(hash, password)
	l.places <- struct{}{}
	defer func() { <-l.places }()
	if !verify(hash, password) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.right == nil || len(l.right) >= maxLogins {
		l.right = map[[sha256.Size]byte]struct{}{}
	}
	l.right[mark] = struct{}{}
	return true
}

// forget makes every password be checked again.
func (l *logins) forget() {
	l.mu.Lock()
	l.right = nil
	l.mu.Unlock()
}

func verify(hash string, password []byte) bool {
	p, err := parseHash(hash)
	if err != nil {
		return false
	}
	if p.key == nil {
		return bcrypt.CompareHashAndPassword([]byte(hash), password) == nil
	}
	key := argon2.IDKey(password, p.salt, p.time, p.memory, p.threads, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1
}

// nobody is the hash that is checked for a user that there is not, so that the
// time of an answer tells nothing. No password has it.
var nobody = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
	strings.Repeat("A", 22), strings.Repeat("A", 43))

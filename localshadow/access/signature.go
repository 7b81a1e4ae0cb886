package access

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// AWS Signature Version 4, as the SDKs sign for the data plane: in the header
// Authorization, or in the query of a URL that was signed beforehand, which is
// how WebSockets are opened (SHADOW 14, 20).
const (
	algorithm     = "AWS4-HMAC-SHA256"
	signatureTime = "20060102T150405Z"
	unsigned      = "UNSIGNED-PAYLOAD"

	// maxSkew is how far the clocks may be apart; AWS has five minutes, between
	// clocks that are right.
	maxSkew = 15 * time.Minute
	// maxSigned bounds the body of a signed request: a payload of 128 KiB.
	maxSigned = 128<<10 + 1
)

// services are the names that the SDKs sign for: of the data plane, now and
// formerly, and of the registry.
var services = []string{"iotdevicegateway", "iotdata", "iot", "execute-api"}

// signature is what a request says of its signature.
type signature struct {
	key, date, region, service string
	time                       string
	headers                    []string
	expires                    time.Duration // 0: not said
	presigned                  bool
	value                      string
}

// readSignature reads it; nil when the request has none.
func readSignature(r *http.Request) (*signature, error) {
	query := r.URL.Query()
	if query.Get("X-Amz-Signature") != "" || query.Get("X-Amz-Algorithm") != "" {
		s := &signature{presigned: true, time: query.Get("X-Amz-Date"), value: query.Get("X-Amz-Signature")}
		if query.Get("X-Amz-Algorithm") != algorithm {
			return s, errors.New("its signature is of another algorithm than " + algorithm)
		}
		s.headers = strings.Split(query.Get("X-Amz-SignedHeaders"), ";")
		if e := query.Get("X-Amz-Expires"); e != "" {
			var err error
			if s.expires, err = time.ParseDuration(e + "s"); err != nil || s.expires < 0 || s.expires > 7*24*time.Hour {
				return s, errors.New("X-Amz-Expires is no number of seconds up to a week")
			}
		}
		return s, s.scope(query.Get("X-Amz-Credential"))
	}
	fields, ok := strings.CutPrefix(r.Header.Get("Authorization"), algorithm+" ")
	if !ok {
		return nil, nil
	}
	s := &signature{time: r.Header.Get("X-Amz-Date")}
	var credential string
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			s.headers = strings.Split(value, ";")
		case "Signature":
			s.value = value
		}
	}
	return s, s.scope(credential)
}

func (s *signature) scope(credential string) error {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return errors.New("its credential is not <key>/<date>/<region>/<service>/aws4_request")
	}
	s.key, s.date, s.region, s.service = parts[0], parts[1], parts[2], parts[3]
	switch {
	case !slices.Contains(services, s.service):
		return fmt.Errorf("it is signed for the service %.40q; want one of %s", s.service, strings.Join(services, ", "))
	case !slices.Contains(s.headers, "host"):
		return errors.New("its signature does not cover the host")
	case len(s.headers) > 64 || !slices.IsSorted(s.headers):
		return errors.New("its signed headers are not sorted")
	case !strings.HasPrefix(s.time, s.date):
		return errors.New("the date of its credential is not that of X-Amz-Date")
	}
	return nil
}

// signed checks a signature.
func (a *Access) signed(c Credentials, s *signature, err error) (*Principal, string, error) {
	claim, address := keyKind+":"+clip(s.key), remoteOf(c)
	if err != nil {
		return nil, claim, err
	}
	if err := a.throttle.admit(address, ""); err != nil {
		return nil, claim, err
	}
	k, known := a.key(s.key)
	if !known {
		a.throttle.fail(address, "")
		return nil, claim, errors.New("there is no such access key, or it has ended")
	}
	if err := a.timely(s); err != nil {
		return nil, claim, err
	}
	body, err := readBody(c.Request)
	if err != nil {
		return nil, claim, err
	}
	if !s.right(c.Request, body, k.Secret) {
		a.throttle.fail(address, "")
		return nil, claim, errors.New("its signature is wrong: another secret, or the request was changed on its way")
	}
	a.throttle.succeed(address, "")
	return &Principal{kind: keyKind, who: k.ID}, "", nil
}

// timely checks the date of a signature, as far as the clock can: one that is
// not set refuses nobody.
func (a *Access) timely(s *signature) error {
	at, err := time.Parse(signatureTime, s.time)
	if err != nil {
		return errors.New("X-Amz-Date is missing or no date")
	}
	now := time.Now()
	if now.Before(released) {
		return nil
	}
	late := maxSkew
	if s.presigned && s.expires > 0 {
		late = s.expires + maxSkew
	}
	if off := now.Sub(at); off > late || off < -maxSkew {
		return fmt.Errorf("it is signed at %s, and here it is %s: a clock is wrong, or the URL has ended",
			at.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// readBody reads a body and puts it back.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxSigned))
	if err != nil {
		return nil, fmt.Errorf("read the signed body: %w", err)
	}
	if len(body) == maxSigned {
		return nil, fmt.Errorf("a signed body of more than %d bytes", maxSigned-1)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// right tells whether a signature is the secret's. SDKs differ in whether they
// encode the path once or twice and whether they sign the port of the host, so
// both count; so do a session token that is signed and one that is added later,
// as AWS IoT wants it.
func (s *signature) right(r *http.Request, body []byte, secret string) bool {
	want, err := hex.DecodeString(s.value)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if said := r.Header.Get("X-Amz-Content-Sha256"); said != "" && !s.presigned {
		if said != unsigned && said != hash {
			return false
		}
		hash = said
	}
	hashes := []string{hash}
	if s.presigned {
		hashes = append(hashes, unsigned)
	}
	key := hmacOf(hmacOf(hmacOf(hmacOf([]byte("AWS4"+secret), s.date), s.region), s.service), "aws4_request")
	hosts := []string{r.Host}
	if name, _, err := net.SplitHostPort(r.Host); err == nil {
		hosts = append(hosts, name)
	}
	query, path := r.URL.Query(), r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	for _, path := range []string{encode(path, true), path} {
		for _, without := range [][]string{{"X-Amz-Signature"}, {"X-Amz-Signature", "X-Amz-Security-Token"}} {
			for _, hash := range hashes {
				for _, host := range hosts {
					text := s.text(strings.Join([]string{
						r.Method, path, canonicalQuery(query, without), s.canonicalHeaders(r, host), strings.Join(s.headers, ";"), hash,
					}, "\n"))
					if hmac.Equal(hmacOf(key, text), want) {
						return true
					}
				}
			}
		}
	}
	return false
}

// text is what is signed of a canonical request.
func (s *signature) text(canonical string) string {
	digest := sha256.Sum256([]byte(canonical))
	return strings.Join([]string{
		algorithm, s.time, strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/"), hex.EncodeToString(digest[:]),
	}, "\n")
}

func hmacOf(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func (s *signature) canonicalHeaders(r *http.Request, host string) string {
	var b strings.Builder
	for _, name := range s.headers {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		b.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	return b.String()
}

func canonicalQuery(query url.Values, without []string) string {
	var pairs []string
	for name, values := range query {
		if slices.Contains(without, name) {
			continue
		}
		for _, value := range values {
			pairs = append(pairs, encode(name, false)+"="+encode(value, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// encode is percent-encoding of all but letters, digits and - . _ ~ (and "/").
func encode(text string, path bool) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0, path && c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

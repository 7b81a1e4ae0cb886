package upstream

import (
	"context"
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// MaxUnacked is the window.
const MaxUnacked = maxUnacked

// TLSConfig is that of a connection.
func (c Config) TLSConfig() (*tls.Config, error) {
	a, err := c.address()
	if err != nil {
		return nil, err
	}
	return c.tlsConfig(a, nil)
}

// Retry paces attempts.
type Retry struct{ r retry }

func NewRetry(b Backoff) *Retry                    { return &Retry{newRetry(b)} }
func (r *Retry) Attempt(now time.Time)             { r.r.attempt(now) }
func (r *Retry) Pause(now time.Time) time.Duration { return r.r.pause(now) }
func (r *Retry) Reset()                            { r.r.reset() }

// Frames looks at packets.
type Frames struct{ f frames }

func NewFrames(asked int) *Frames {
	f := &Frames{}
	f.f.asked.Store(int32(asked))
	return f
}

func (f *Frames) See(p []byte) error { return f.f.see(p) }

// Presign is the signed address of an endpoint of AWS.
func Presign(ctx context.Context, c Config, id, secret, token string, now time.Time) (string, error) {
	a, err := c.address()
	if err != nil {
		return "", err
	}
	return presign(ctx, a, a.region(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, now)
}

// Refresh is what happens every refreshEvery.
func (p *Pool) Refresh() { p.refresh() }

// PaceFor is how long messages take at a rate, by the clock of a bubble.
func PaceFor(t *testing.T, rate, messages, size int) (took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		began, p := time.Now(), newPace(rate)
		for range messages {
			if err := p.wait(t.Context(), nil, size); err != nil {
				t.Fatal(err)
			}
		}
		took = time.Since(began)
	})
	return took
}

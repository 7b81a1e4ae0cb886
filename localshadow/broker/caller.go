package broker

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"edgeshadow/localshadow/access"
)

// maxBody bounds the body of a request: the largest message, as over MQTT.
const maxBody = 128 << 10

type principalKey struct{}

// PrincipalOf is who sent a request that the Handler was given.
func PrincipalOf(ctx context.Context) Principal {
	who, _ := ctx.Value(principalKey{}).(Principal)
	return who
}

// serveHTTP asks who a client is, unless the request is a public one, and hands
// it to the Handler.
func (b *Broker) serveHTTP(w http.ResponseWriter, r *http.Request, p *place) {
	w.Header().Set("x-amzn-RequestId", requestID())
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if !p.rate.allow(time.Now(), float64(b.rate.Load())) {
		b.stats.flooding.Add(1)
		w.Header().Set("Connection", "close")
		deny(w, http.StatusTooManyRequests, "ThrottlingException", "Rate exceeded")
		return
	}
	if b.Public != nil {
		if h, pattern := b.Public.Handler(r); pattern != "" {
			h.ServeHTTP(w, r)
			return
		}
	}
	if b.Handler == nil {
		http.NotFound(w, r)
		return
	}
	shown := access.Credentials{Listener: p.l.address, Auth: p.rules.auth, Remote: p.RemoteAddr(), Request: r}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		shown.Certificate = r.TLS.VerifiedChains[0][0]
	}
	if user, password, ok := r.BasicAuth(); ok {
		shown.User, shown.Password = user, []byte(password)
	}
	who, err := b.Access.Authenticate(shown)
	if err != nil {
		b.stats.refused.Add(1)
		p.l.log.Debug("request refused", "remote", r.RemoteAddr, "err", err)
		deny(w, http.StatusUnauthorized, "UnauthorizedException", "Unauthorized")
		return
	}
	b.Handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, who)))
}

// deny answers as SHADOW 14 has it.
func deny(w http.ResponseWriter, code int, kind, text string) {
	w.Header().Set("content-type", "application/json")
	w.Header().Set("x-amzn-ErrorType", kind)
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"code":%d,"message":%q}`, code, text)
}

// requestID is a random UUID (RFC 9562, 5.4), by which clients report a request.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

package access

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// maxEnroll bounds the body of POST /enroll.
const maxEnroll = maxRequest + 1024

// Public serves /enroll. GET is the CA's certificate. POST trades a one-time
// token and a certificate request for a certificate, over TLS alone: either the
// token as "Authorization: Bearer" and the request as the body, answered with
// the certificate in PEM, or {"token": …, "csr": …}, answered with JSON.
func (a *Access) Public() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /enroll", a.showCA)
	mux.HandleFunc("POST /enroll", a.enroll)
	return mux
}

func (a *Access) showCA(w http.ResponseWriter, _ *http.Request) {
	if a.ca == nil {
		answer(w, http.StatusNotFound, errNoCA)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(a.ca.PEM())
}

func (a *Access) enroll(w http.ResponseWriter, r *http.Request) {
	remote := remoteAddr(r)
	if r.TLS == nil {
		answer(w, http.StatusForbidden, errors.New("enrolment wants TLS: a token must not be read on the way"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEnroll))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, err)
		return
	}
	// One after the other of each address: who tries many tokens waits in line.
	defer a.throttle.turn(remote).Unlock()
	if err := a.throttle.admit(remote, ""); err != nil {
		var slow *ThrottledError
		if errors.As(err, &slow) {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(slow.Wait.Seconds()))))
		}
		answer(w, http.StatusTooManyRequests, err)
		return
	}
	text, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		var both struct{ Token, CSR string }
		if err := json.Unmarshal(body, &both); err != nil {
			answer(w, http.StatusBadRequest, errors.New(`want {"token": …, "csr": …}, or Authorization: Bearer TOKEN with the request as the body`))
			return
		}
		text, body = both.Token, []byte(both.CSR)
	}
	b, err := a.redeem(r.Context(), text, body)
	if err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, errToken) {
			status = http.StatusForbidden
			a.throttle.fail(remote, "")
		}
		a.denied(Denial{Remote: remote, Action: "enroll", Why: err.Error()})
		answer(w, status, err)
		return
	}
	if bearer {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = io.WriteString(w, b.Certificate)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(b)
}

// answer is the body of an error, as of the shadow service.
func answer(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{status, err.Error()})
}

func remoteAddr(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "local"
	}
	return addressOf(net.TCPAddrFromAddrPort(at))
}

package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// stage is how far an attempt came.
type stage string

const (
	dialing   stage = "connect to"
	securing  stage = "TLS with"
	upgrading stage = "WebSocket with"
	greeting  stage = "MQTT with"
)

// linkError is an attempt that failed before it was connected.
type linkError struct {
	stage stage
	to    address
	err   error
}

func (e *linkError) Error() string {
	return fmt.Sprintf("%s %s: %s", e.stage, e.to, plain(e.err))
}

func (e *linkError) Unwrap() error { return e.err }

// plain is an error without the addresses and calls that the network library
// puts before it: they differ from one attempt to the next.
func plain(err error) string {
	var op *net.OpError
	var call *os.SyscallError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("no answer in %v", connectTimeout)
	case errors.Is(err, io.EOF):
		return "closed by the other side"
	case errors.As(err, &call):
		return call.Err.Error()
	case errors.As(err, &op) && op.Op == "remote error":
		return err.Error()
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

// closedInOrder tells whether the other side closed the connection after it had
// taken CONNECT: not by a reset, a silence, or a refusal.
func closedInOrder(err error) bool {
	var early *linkError
	return errors.Is(err, io.EOF) && !errors.As(err, &early)
}

// RefusedError are subscriptions that the broker did not grant.
type RefusedError struct{ Filters []string }

func (e *RefusedError) Error() string {
	return "subscription refused: " + strings.Join(e.Filters, ", ")
}

// FightError is a client id that somebody else uses too.
type FightError struct {
	ClientID string
	Times    int // connections in a row that were closed
	Err      error
}

func (e *FightError) Error() string {
	return fmt.Sprintf("client id %q is taken over again and again: another client connects with it", e.ClientID)
}

func (e *FightError) Unwrap() error { return e.Err }

// clockFloor is a date before which this program did not exist: a clock that
// shows less was never set.
var clockFloor = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// explain turns an error of a connection into a cause and, if there is one, a cure.
func explain(err error, now time.Time) (why, hint string) {
	why = err.Error()
	var fight *FightError
	var refused *RefusedError
	var early *linkError
	var credentials *credentialsError
	switch {
	case errors.As(err, &fight):
		return why, "give each gateway a gateway.thing of its own; if no other client has this id, the policy forbids something that is sent, which AWS answers by closing"
	case errors.As(err, &refused):
		return why, "allow iot:Subscribe on topicfilter/" + strings.Join(refused.Filters, " and topicfilter/") + ", and iot:Receive on their topics, in the gateway's policy"
	case errors.As(err, &early):
		return early.explain(now)
	case errors.As(err, &credentials):
		return why, "give AWS credentials to the daemon: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_SHARED_CREDENTIALS_FILE, or a role of the container or instance"
	case errors.Is(err, io.EOF), errors.Is(err, errSilent), errors.Is(err, errStalled):
		return "connection lost: " + plain(err), ""
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return why, "check the files that the section cloud names, and that the daemon's user may read them"
	}
	return plain(err), ""
}

func (e *linkError) explain(now time.Time) (why, hint string) {
	why = e.Error()
	var dns *net.DNSError
	var connack *ConnackError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var upgraded *UpgradeError
	switch {
	case errors.As(e.err, &upgraded) && upgraded.Status == http.StatusForbidden:
		return why, "the other side refuses the signature: are the AWS credentials valid, is cloud.region right, and is the clock, which shows " + now.UTC().Format(time.DateTime) + " UTC?"
	case e.stage == upgrading:
		return why, "is there MQTT over WebSocket on this port? mqtts:// is without"
	case errors.As(e.err, &dns) && dns.IsNotFound:
		return why, "the name in cloud.endpoint does not exist, or this machine's DNS server does not know it"
	case errors.As(e.err, &dns):
		return why, "DNS does not answer: is there a network, and a DNS server (resolvectl status)?"
	case errors.Is(e.err, syscall.ECONNREFUSED):
		return why, "nothing listens there: check host and port of cloud.endpoint"
	case errors.Is(e.err, syscall.ENETUNREACH), errors.Is(e.err, syscall.EHOSTUNREACH):
		return why, "there is no way there: check cable, address and gateway of this machine (ip route)"
	case errors.As(e.err, &record):
		return why, "the other side speaks no TLS on this port: mqtt:// is without"
	case errors.As(e.err, &alert), errors.As(e.err, &connack) && connack.Code != 3:
		return why, "the other side refuses this client: is the certificate active, not expired, and of this account, and does its policy allow iot:Connect?"
	case e.stage == securing && (errors.Is(e.err, io.EOF) || errors.Is(e.err, syscall.ECONNRESET)):
		return why, "the other side ends before TLS begins: is there TLS on this port? mqtt:// is without"
	case e.stage == securing:
		return e.explainCertificate(why, now)
	case e.stage == dialing:
		return why, "does a firewall stop port " + e.to.port + "? AWS takes mqtts on port 443 too"
	case e.stage == greeting && connack == nil:
		return why, "the other side does not answer CONNECT: is mqtt or mqtts right, is the certificate active, and does its policy allow iot:Connect on this client id?"
	}
	return why, ""
}

// explainCertificate is for a certificate of the other side that does not hold.
func (e *linkError) explainCertificate(why string, now time.Time) (string, string) {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	switch {
	case errors.As(e.err, &unknown):
		hint := "cloud.ca must hold the root of the other side's certificate"
		if cert := unknown.Cert; cert != nil {
			hint += fmt.Sprintf(", which was issued by %q", cert.Issuer)
		}
		return why, hint
	case errors.As(e.err, &hostname):
		return why, "the certificate of the other side is for another name than cloud.endpoint"
	case errors.As(e.err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore) && now.Before(clockFloor):
		return fmt.Sprintf("the clock is not set, it shows %s: %s", now.UTC().Format(time.DateTime), why),
			"set the clock of this machine (timedatectl), or let it reach a time server"
	case errors.As(e.err, &invalid):
		return why, "the other side's certificate does not hold now: check it, and the clock of this machine"
	}
	return why, ""
}

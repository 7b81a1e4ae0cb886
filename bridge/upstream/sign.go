package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
)

const (
	// signingService is AWS IoT's data plane in a signature (SHADOW 14).
	signingService = "iotdevicegateway"
	// signedFor is how long a signed address may be used, in seconds. It is
	// used at once; the rest is for a clock that is a little off.
	signedFor = "300"
)

// credentialsError is a WebSocket that can't be signed.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "AWS credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// signed is the address of a WebSocket with a signature of AWS in it: whoever
// sees it may connect for a while, so it is never logged. The credentials are
// looked for anew each time, where AWS's own programs do: environment, shared
// files, and what a container, an instance or a process provides.
func (c Config) signed(ctx context.Context, a address, now time.Time) (string, error) {
	found, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return "", &credentialsError{err}
	}
	credentials, err := found.Credentials.Retrieve(ctx)
	if err != nil {
		return "", &credentialsError{err}
	}
	region := orElse(c.Region, orElse(a.region(), found.Region))
	if region == "" {
		return "", &credentialsError{errors.New("no region: want cloud.region")}
	}
	return presign(ctx, a, region, credentials, now)
}

func presign(ctx context.Context, a address, region string, credentials aws.Credentials, now time.Time) (string, error) {
	req, err := http.NewRequest(http.MethodGet, a.url(), nil)
	if err != nil {
		return "", err
	}
	req.URL.RawQuery = url.Values{"X-Amz-Expires": {signedFor}}.Encode()
	// AWS IoT, unlike other services, wants the token of temporary credentials
	// outside of the signature.
	token := credentials.SessionToken
	credentials.SessionToken = ""
	nothing := sha256.Sum256(nil)
	out, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, req, hex.EncodeToString(nothing[:]), signingService, region, now)
	if err != nil {
		return "", &credentialsError{err}
	}
	if token != "" {
		out += "&X-Amz-Security-Token=" + url.QueryEscape(token)
	}
	return "wss" + strings.TrimPrefix(out, "https"), nil
}

// region is the one in the name of an endpoint of AWS.
func (a address) region() string {
	labels := strings.Split(a.host, ".")
	for i, label := range labels {
		if label == "iot" && i+1 < len(labels) && a.aws() {
			return labels[i+1]
		}
	}
	return ""
}

// url is where the WebSocket is asked for.
func (a address) url() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port != wssPort {
		host += ":" + a.port
	}
	return fmt.Sprintf("https://%s/mqtt", host)
}

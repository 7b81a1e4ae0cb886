//go:build !(linux && amd64)

package clocktest

import (
	"errors"
	"os/exec"
	"time"
)

// Start is not possible here.
func Start(*exec.Cmd, time.Duration) (*Clock, error) { return nil, errors.ErrUnsupported }

package serial

import (
	"time"

	"edgeshadow/adapters"
)

// Frames cuts pieces as a driver does that heard the line from its beginning,
// and was given silence after the last one.
func Frames(f Frame, c Check, pieces ...[]byte) (frames []string, broken, skipped uint64) {
	r := newFramer(f, c)
	take := func(content []byte) { frames = append(frames, string(content)) }
	for _, piece := range pieces {
		r.feed(piece, take)
	}
	r.silence(time.Minute, take)
	return frames, r.stats.Broken, r.stats.Skipped
}

// Late is Frames of a port that was opened in the middle of what was said.
func Late(f Frame, c Check, piece []byte) (frames []string) {
	r := newFramer(f, c)
	r.restart()
	r.feed(piece, func(content []byte) { frames = append(frames, string(content)) })
	return frames
}

// Held is how many bytes the framer keeps after a piece.
func Held(f Frame, c Check, pieces ...[]byte) (most int) {
	r := newFramer(f, c)
	for _, piece := range pieces {
		r.feed(piece, func([]byte) {})
		most = max(most, len(r.buf))
	}
	return most
}

// Of is a check as it goes over a line.
func (c Check) Of(data []byte) []byte { return c.of(data) }

// Render is what a point reads after value was sent, and what is sent.
func Render(send string, f Frame, c Check, p adapters.Point, value any) (fit any, sent string, err error) {
	t, err := newTemplate(send, f, c)
	if err != nil {
		return nil, "", err
	}
	if fit, err = t.fit(p, value); err != nil {
		return nil, "", err
	}
	data, err := t.render(p, value)
	return fit, string(data), err
}

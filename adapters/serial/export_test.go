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

// Extract is what a configuration finds in a frame, by name; nil is no value.
func Extract(c Config, points map[string]adapters.Point, frame []byte) map[string]any {
	found := map[string]any{}
	values, _ := newExtractor(c, points)(frame)
	for _, v := range values {
		found[v.name] = v.value
	}
	return found
}

// String is the type of a point that keeps text, where the configuration takes it.
func String(c Config) string {
	if c.Binary != nil {
		return ""
	}
	return typeString
}

// Extractor counts the values of a frame.
func Extractor(c Config) func([]byte) int {
	extract := newExtractor(c, nil)
	return func(frame []byte) int {
		values, _ := extract(frame)
		return len(values)
	}
}

// Feeder counts the frames in what is heard.
func Feeder(f Frame, c Check) func([]byte) int {
	r := newFramer(f, c)
	return func(heard []byte) (n int) {
		r.feed(heard, func([]byte) { n++ })
		return n
	}
}

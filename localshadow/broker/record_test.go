package broker_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/broker"
)

// What is left of a message's time is kept, and no point in time: a clock that
// is wrong by ten years in this run or the next changes nothing.
func TestRecord_ClockJumps(t *testing.T) {
	const left = 90 * time.Second
	for _, written := range []int{-10, 0, 10} {
		for _, read := range []int{-10, 0, 10} {
			then, now := time.Now().AddDate(written, 0, 0), time.Now().AddDate(read, 0, 0)
			got, err := broker.RoundTripMessage("a/b", []byte("x"), then.Add(left), then, now)
			if err != nil || got != left {
				t.Errorf("written in %d years, read in %d: %v left, %v; want %v", written, read, got, err, left)
			}
		}
	}
}

// FuzzRecords: any bytes are a record or an error, and a record that is read is
// written as it was.
func FuzzRecords(f *testing.F) {
	for _, seed := range broker.Records() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		for kind, again := range broker.Rewrite(record) {
			third := broker.Rewrite(again)[kind]
			if diff := cmp.Diff(again, third); diff != "" {
				t.Errorf("%s is unstable (-second +third):\n%s", kind, diff)
			}
		}
	})
}

package broker_test

import "testing"

// BenchmarkEvents is what an event costs by who watches: nobody, or one client.
func BenchmarkEvents(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run(map[bool]string{false: "nobody", true: "one"}[watched], func(b *testing.B) {
			site, _ := MustServe(b)
			c := mustConnect(b, site, "watch")
			c.mustSubscribe(b, "a/+", "b/#", "$aws/things/watch/shadow/#")
			if watched {
				await(b, c.Subscribe("$aws/events/#", 0, nil))
				go func() {
					for range c.messages {
					}
				}()
			}
			b.ReportAllocs()
			for b.Loop() {
				site.TellArrival("lamp")
			}
		})
	}
}

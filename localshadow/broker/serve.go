package broker

// serve runs fn, which serves a request on the goroutine that reads; idle says
// that no other packet of the client has come. What fn corked goes out when it
// returns, in one write, on this goroutine.
func (c *conn) serve(fn func(idle bool)) {
	c.mu.Lock()
	c.serving = true
	c.mu.Unlock()
	fn(c.unread == 0)
	c.mu.Lock()
	corked := c.corked
	c.serving, c.corked = false, false
	c.mu.Unlock()
	if corked {
		c.flush()
		c.flushes.Done()
	}
}

// cork has what is written from here on wait for the end of serve, while serve
// runs and nothing is being written.
func (c *conn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.serving && !c.flushing && !c.closed {
		c.flushing, c.corked = true, true
		c.flushes.Add(1)
	}
}

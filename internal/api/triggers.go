package api

// exists fails when the script of the path does not exist.
func (c *call) exists() error {
	_, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	return err
}

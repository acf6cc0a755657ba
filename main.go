// Command aiagents writes what is known about a new ticket back on the ticket, as one private note.
package main

import (
	"os"

	"aiagents/app"
)

func main() { os.Exit(app.Main()) }

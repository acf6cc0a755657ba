package retrieval

import (
	"testing"

	"aiagents/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// Package dbtest gives tests a real Postgres database of their own.
//
// It owns the server of one test binary: started with the first [New], from a
// copy of a migrated cluster that is made once for all test binaries of this
// user, and stopped by [Main], with its folder removed. Nothing is shared
// between test binaries but that read-only original, so any number of them
// runs at once, and nothing has to be started by hand. A test is never skipped
// for want of a database: it fails, and says what is missing.
//
// Each test's database is cloned from the migrated one and dropped with the
// test. It thinks in the zone Asia/Kolkata, five and a half hours ahead, so
// that code that confuses local time with UTC is found out.
//
// When a test binary is killed, its server ends by itself, and the next run
// removes its folder.
package dbtest

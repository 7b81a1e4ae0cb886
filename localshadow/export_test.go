package localshadow

// SyncedLog is the write-ahead log that the committer syncs. Nothing may be
// under way.
func SyncedLog(s *Store) string { return s.wal.file.Name() }

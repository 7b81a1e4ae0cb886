package localshadow

// SyncedLog is the write-ahead log that the committer syncs. Nothing may be
// under way.
func SyncedLog(s *Store) string { return s.wal.file.Name() }

// LooseTables are those that were not merged yet.
func LooseTables(s *Store) int {
	loose, _ := s.tables()
	return loose.n
}

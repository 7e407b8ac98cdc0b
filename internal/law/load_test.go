package law

import "testing"

// FuzzParse: whatever a law file holds, it reads or is refused; what reads answers questions.
func FuzzParse(f *testing.F) {
	f.Add(embedded)
	f.Add([]byte(`{"as_of":"2027-01-01","rows":[{"id":"a","cite":"b","subject":"c","value":"1","unit":"hour","from":"2026-01-01","status":"in_force","as_of":"2026-01-01","source":"d","verified":true}]}`))
	f.Add([]byte(`{"as_of":"2027-01-01","rows":[],"holidays":[{"where":"CA","date":"2026-03-31","name":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := parse(data)
		if err != nil {
			return
		}
		for _, r := range table.Rows() {
			if got, ok := table.On(r.ID, r.Where, r.From); !ok || got != r {
				t.Errorf("row %s %s is not found on its first day", r.ID, r.Where)
			}
		}
		table.Window(table.AsOf(), "CA")
		table.AddBusinessDays(table.AsOf(), 10, "CA")
	})
}

package money

import "testing"

func TestParse(t *testing.T) {
	for s, want := range map[string]Cents{"0.00": 0, "1.05": 105, "12.34": 1234} {
		got, err := Parse(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("Parse(%q) = %v, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "1", "1.5", "-1.00", "a.bc"} {
		if got, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, got)
		}
	}
}

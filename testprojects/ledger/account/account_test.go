package account

import "testing"

func TestParseRoundTrip(t *testing.T) {
	for _, s := range []string{"asset:cash", "income:sales", "liability:vat"} {
		a, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if a.String() != s {
			t.Errorf("got %q, want %q", a, s)
		}
	}
	for _, s := range []string{"", "asset", "asset:", "gold:bar"} {
		if a, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, a)
		}
	}
}

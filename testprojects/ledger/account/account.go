// Package account names the accounts that entries are booked to.
package account

import (
	"fmt"
	"strings"
)

// Kind says on which side of the books an account grows.
type Kind int

// The kinds of account.
const (
	Asset Kind = iota
	Income
	Liability
)

func (k Kind) String() string {
	switch k {
	case Asset:
		return "asset"
	case Income:
		return "income"
	case Liability:
		return "liability"
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// Account is one account of the books.
type Account struct {
	Name string
	Kind Kind
}

// Parse reads an account written as "kind:name".
func Parse(s string) (Account, error) {
	kind, name, ok := strings.Cut(s, ":")
	if !ok || name == "" {
		return Account{}, fmt.Errorf("account %q: want kind:name", s)
	}
	for _, k := range []Kind{Asset, Income, Liability} {
		if k.String() == kind {
			return Account{Name: name, Kind: k}, nil
		}
	}
	return Account{}, fmt.Errorf("account %q: unknown kind %q", s, kind)
}

func (a Account) String() string { return a.Kind.String() + ":" + a.Name }

// Package journal keeps entries that balance.
package journal

import (
	"errors"
	"fmt"

	"example.com/ledger/account"
)

// ErrUnbalanced means that the postings of an entry do not add up to zero.
var ErrUnbalanced = errors.New("entry does not balance")

// Posting is an amount, in the smallest unit of the currency, booked to an account.
type Posting struct {
	Account account.Account
	Amount  int64
}

// Journal is a list of balanced entries; the zero value is ready for use.
type Journal struct {
	entries  int
	balances map[account.Account]int64
}

// Book adds an entry, or nothing when it does not balance.
func (j *Journal) Book(postings ...Posting) error {
	var sum int64
	for _, p := range postings {
		sum += p.Amount
	}
	if sum != 0 {
		return fmt.Errorf("%w: off by %d", ErrUnbalanced, sum)
	}
	if j.balances == nil {
		j.balances = map[account.Account]int64{}
	}
	for _, p := range postings {
		j.balances[p.Account] += p.Amount
	}
	j.entries++
	return nil
}

// Len is the number of entries.
func (j *Journal) Len() int { return j.entries }

// Balance is the sum of what was booked to a.
func (j *Journal) Balance(a account.Account) int64 { return j.balances[a] }

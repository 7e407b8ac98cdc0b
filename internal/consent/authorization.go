package consent

import "github.com/carepost/carepost/internal/ledger"

// Element is a part that an authorization must have.
type Element struct {
	Field string // of the form
	What  string
	Cite  string
}

// Missing lists what the authorization lacks, in the order of 45 CFR 164.508(c). An authorization that lacks anything is not valid:
// 164.508(b)(2)(ii).
func (a Authorization) Missing() []Element {
	pays := len(a.Payers) > 0
	var missing []Element
	for _, x := range []struct {
		ok bool
		e  Element
	}{
		{a.Information != "", Element{"information", "a description of the information", "45 CFR 164.508(c)(1)(i)"}},
		{a.Discloser != "", Element{"discloser", "who may disclose it", "45 CFR 164.508(c)(1)(ii)"}},
		{a.Receiver != "", Element{"receiver", "who may receive it", "45 CFR 164.508(c)(1)(iii)"}},
		{a.Purpose != "" && known(a.Purposes), Element{"purpose", "the purpose", "45 CFR 164.508(c)(1)(iv)"}},
		{a.Expires != 0 || a.Event != "", Element{"expires", "an expiry date or event", "45 CFR 164.508(c)(1)(v)"}},
		{a.SignedOn != 0 && a.Signer != "", Element{"signed_on", "signature and date", "45 CFR 164.508(c)(1)(vi)"}},
		{!a.Representative || a.Authority != "", Element{"authority", "the representative's authority", "45 CFR 164.508(c)(1)(vi)"}},
		{a.StatesRevocation, Element{"states_revocation", "the statement of the right to revoke", "45 CFR 164.508(c)(2)(i)"}},
		{a.StatesConditions, Element{"states_conditions", "the statement on conditions", "45 CFR 164.508(c)(2)(ii)"}},
		{a.StatesRedisclosure, Element{"states_redisclosure", "the statement on redisclosure", "45 CFR 164.508(c)(2)(iii)"}},
		{a.PlainLanguage, Element{"plain_language", "plain language", "45 CFR 164.508(c)(3)"}},
		{a.CopyGiven, Element{"copy_given", "a copy for the person", "45 CFR 164.508(c)(4)"}},
		{!pays || a.StatesRemuneration, Element{"states_remuneration", "the statement that a third party pays", "45 CFR 164.508(a)(3)(ii)"}},
		{!a.Compound, Element{"compound", "a form of its own", "45 CFR 164.508(b)(3)"}},
	} {
		if !x.ok {
			missing = append(missing, x.e)
		}
	}
	return missing
}

// Signed tells whether somebody with authority signed and dated it.
func (a Authorization) Signed() bool {
	return a.SignedOn != 0 && a.Signer != "" && (!a.Representative || a.Authority != "")
}

func known(list []ledger.Purpose) bool {
	for _, p := range list {
		if p == ledger.PurposeNone || !p.Known() {
			return false
		}
	}
	return len(list) > 0
}

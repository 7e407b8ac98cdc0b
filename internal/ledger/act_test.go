package ledger

import "testing"

// The numbers stand in signed leaves. A line here may be added, never changed.
func TestActNumbers(t *testing.T) {
	want := []string{
		1: "decision", 2: "disclosure", 3: "view", 4: "refusal", 5: "sign_in", 6: "sign_in_failed", 7: "sign_out", 8: "change", 9: "import",
		10: "submit", 11: "acceptance", 12: "bounce", 13: "pickup", 14: "hold", 15: "release", 16: "consent", 17: "authorization",
		18: "restriction", 19: "suppression", 20: "warning", 21: "agreement", 22: "staff", 23: "break_glass", 24: "setting", 25: "key_made",
		26: "key_destroyed", 27: "restore", 28: "export", 29: "undo", 30: "merge", 31: "unmerge", 32: "complaint", 33: "reply",
		34: "campaign", 35: "journey", 36: "form", 37: "request", 38: "incident", 39: "backup", 40: "start", 41: "stop", 42: "legal_hold",
		43: "training", 44: "segment", 45: "template", 46: "organisation", 47: "given_up", 48: "in_doubt", 49: "drill", 50: "source",
		51: "reassigned",
	}
	for n, code := range want {
		a := Act(n)
		if a.Known() != (code != "") || a.Known() && a.String() != code {
			t.Errorf("act %d is %q, it was published as %q", n, a, code)
		}
		if back, ok := ParseAct(code); ok && back != a {
			t.Errorf("%q reads as %d", code, back)
		}
		if a.Known() && a.Text() == "" {
			t.Errorf("act %d has no text", n)
		}
	}
	if len(acts) != len(want)-1 {
		t.Errorf("there are %d acts, this test pins %d", len(acts), len(want)-1)
	}
	if Act(700).String() != "act_700" || Act(700).Known() {
		t.Error("an unknown act has no name of its own")
	}
}

func TestPurposeNumbers(t *testing.T) {
	for n, code := range []string{"none", "treatment", "payment", "operations", "refill", "fundraising", "marketing", "service"} {
		p := Purpose(n)
		if p.String() != code || !p.Known() {
			t.Errorf("purpose %d is %q, it was published as %q", n, p, code)
		}
		if back, err := ParsePurpose(code); err != nil || back != p {
			t.Errorf("%q reads as %v, %v", code, back, err)
		}
	}
	if Purpose(8).Known() {
		t.Error("purpose 8 is not on the list")
	}
}

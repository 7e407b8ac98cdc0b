package bench

import (
	"strings"
	"testing"
)

// TestReplies counts by hand: of three lines one is wrong, and the two hard ones are both found.
func TestReplies(t *testing.T) {
	r, err := replies(strings.NewReader("code\tenhanced\ttext\tclass\tsource\n" +
		"550\t5.1.1\tuser unknown\thard_bounce\tmade up\n" +
		"550\t\tno such user here\thard_bounce\tmade up\n" +
		"552\t5.2.2\tmailbox full\tspam_block\ta wrong label\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Lines != 3 || r.Right < 0.66 || r.Right > 0.67 || r.ByClass["hard_bounce"] != (RepliesClassAccuracy{1, 1}) ||
		r.ByClass["spam_block"] != (RepliesClassAccuracy{1, 0}) || r.ByClass["mailbox_full"] != (RepliesClassAccuracy{0, 1}) {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"", "code\tclass\n", "code\tclass\nx\tother\n", "code\tclass\n550\tnonsense\n"} {
		if _, err := replies(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

package compose

// Severity is what a finding asks for.
type Severity uint8

// The severities.
const (
	SeverityNote  Severity = 1 // worth knowing
	SeverityWarn  Severity = 2 // a person should look before a campaign goes
	SeverityBlock Severity = 3 // must not go as it is; the gate holds it
)

// String gives the word.
func (s Severity) String() string {
	return [...]string{"none", "note", "warn", "block"}[min(s, SeverityBlock)]
}

// MarshalText gives the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// FindingCode names one rule of the lint. Codes are stored with decisions: append only.
type FindingCode string

// The findings.
const (
	FindSubjectClinical    FindingCode = "subject_clinical"     // a drug or condition in the subject, from a merge field
	FindSubjectTopic       FindingCode = "subject_topic"        // a drug or condition in the subject, in the fixed text
	FindSubjectIdentifier  FindingCode = "subject_identifier"   // a birth date or record number in the subject
	FindSubjectCapitals    FindingCode = "subject_capitals"     // shouting
	FindSubjectReply       FindingCode = "subject_reply"        // Re: or Fwd: on a message that is neither
	FindSubjectEmpty       FindingCode = "subject_empty"        // nothing left of it
	FindSubjectLong        FindingCode = "subject_long"         // cut by every client
	FindMergeUnclosed      FindingCode = "merge_unclosed"       // {{ without }}
	FindMergeUnknown       FindingCode = "merge_unknown"        // a variable or filter that is not declared
	FindMergeInvalid       FindingCode = "merge_invalid"        // any other fault of a merge field or block
	FindMergeOptional      FindingCode = "merge_optional"       // an optional variable shown without a default
	FindAltMissing         FindingCode = "alt_missing"          // an image without alternative text
	FindUnsubscribeMissing FindingCode = "unsubscribe_missing"  // commercial, and no way out
	FindPostalMissing      FindingCode = "postal_missing"       // commercial, and no postal address
	FindLinkForeign        FindingCode = "link_foreign"         // a link to a host that is not ours
	FindLinkShortener      FindingCode = "link_shortener"       // a public shortener: reads every click, and spam filters know it
	FindLinkInsecure       FindingCode = "link_insecure"        // not https
	FindLinkInValue        FindingCode = "link_in_value"        // a value that clients will make a link of
	FindLinkPHI            FindingCode = "link_values"          // a merge field in a link to a foreign host
	FindImageForeign       FindingCode = "image_foreign"        // an image fetched from elsewhere
	FindTracker            FindingCode = "tracker"              // a remote tracker
	FindTextMissing        FindingCode = "text_missing"         // no plain text
	FindTooLarge           FindingCode = "too_large"            // receivers refuse it
	FindClipped            FindingCode = "clipped"              // Gmail cuts HTML of more than about 102 KB
	FindEndToEnd           FindingCode = "claim_end_to_end"     // "end-to-end" said of what is not
	FindUnreviewed         FindingCode = "translation_unsigned" // a machine translation nobody reviewed
	FindTheme              FindingCode = "contrast"             // colours that cannot be read
	FindLanguage           FindingCode = "language_fallback"    // the recipient's language is not there
)

// Finding is what the lint says. It holds no value of a record: where and why, never what was read.
type Finding struct {
	Code     FindingCode `json:"code"`
	Severity Severity    `json:"severity"`
	Where    string      `json:"where,omitempty"`
	Text     string      `json:"text"`
	Rule     string      `json:"rule,omitempty"` // the law or standard behind it
}

// Worst gives the highest severity, 0 when there is no finding.
func Worst(all []Finding) Severity {
	var worst Severity
	for _, f := range all {
		worst = max(worst, f.Severity)
	}
	return worst
}

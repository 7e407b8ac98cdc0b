package gate

import (
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
)

// optOuts: in force from the transaction in which they came; the ten business days of the law are a ceiling.
func optOuts(f *Facts, v *verdict) {
	m := &f.Message
	advertises := v.marketing || m.Class == ClassCommercial || m.Text == TextMarketing
	passes := m.Safety && isCare(m.Purpose) && !advertises
	for _, o := range f.OptOuts {
		code, soft := Code(""), false
		switch o.Covers {
		case CoversAddress:
			fallthrough
		default:
			code = AddressSuppressed
		case CoversAll:
			if m.Purpose != ledger.PurposeService {
				code = OptedOutAll
			}
		case CoversCommercial:
			if advertises {
				code = OptedOutCommercial
			}
		case CoversFundraising:
			if m.Purpose == ledger.PurposeFundraising {
				code = OptedOutFundraising
			}
		case CoversTopic:
			if m.Topic != "" && o.Topic == m.Topic {
				code, soft = OptedOutTopic, true
			}
		case CoversTexts:
			if m.Channel == people.ChannelPhone && m.Text != TextEmergency {
				code = OptedOutTexts
			}
		}
		if code != "" && soft && passes {
			code = SafetyPasses
		}
		if code != "" {
			v.say(code, o.Ref)
		}
	}
}

// consents: opt-ins that a topic or a channel asks for.
func consents(f *Facts, v *verdict) {
	m := &f.Message
	if m.NeedsOptIn {
		if ref, asked := optIn(f, m.Topic); asked {
			v.say(OptInFound, ref.String())
		} else {
			v.say(OptInMissing, "")
		}
	}
	if m.Channel == people.ChannelPhone {
		textConsent(f, v)
	}
}

// textConsent: 47 CFR 64.1200(a)(1), (a)(2), (a)(9)(iv).
func textConsent(f *Facts, v *verdict) {
	m := &f.Message
	switch m.Text {
	case TextExempt:
		if !m.Elements.FreeToUser {
			v.say(ExemptNotFree, "")
		}
		if m.Elements.Chars > v.law.Number(law.TextExemptChars, v.today) {
			v.say(ExemptTooLong, "")
		}
		if m.Elements.Billing {
			v.say(ExemptBilling, "")
		}
	case TextInformation:
		if !textOptIn(f, false) {
			v.say(TextConsentMissing, "")
		}
	case TextMarketing:
		if !textOptIn(f, true) {
			v.say(TextWrittenMissing, "")
		}
	case TextUndeclared, TextEmergency: // 47 CFR 64.1200(a)(1): emergencies need none
	}
	if m.Text == TextExempt || m.Text == TextMarketing {
		if !m.Elements.StopNotice {
			v.say(TextNoStop, "")
		}
	}
}

// textOptIn finds a consent to texts as such, or to texts about the topic; a consent that names no channel is none.
func textOptIn(f *Facts, written bool) bool {
	for _, o := range f.OptIns {
		if o.Channel == people.ChannelPhone && (o.Topic == "" || o.Topic == f.Message.Topic) && (o.Written || !written) {
			return true
		}
	}
	return false
}

func (o OptIn) matches(c people.Channel, topic string) bool {
	return (o.Channel == 0 || o.Channel == c) && (o.Topic == "" || o.Topic == topic)
}

// optIn finds a consent for the message's channel and topic.
func optIn(f *Facts, topic string) (id.Consent, bool) {
	for _, o := range f.OptIns {
		if o.matches(f.Message.Channel, topic) {
			return o.ID, true
		}
	}
	return id.Consent{}, false
}

// restrictions: 45 CFR 164.522(a). A service message uses no health information.
func restrictions(f *Facts, v *verdict) {
	m := &f.Message
	if m.Purpose == ledger.PurposeService {
		return
	}
	for _, r := range f.Restrictions {
		switch {
		case r.Payer: // asked where a plan is told: Disclose
		case r.Proxy:
			if f.Recipient.Holder == HolderProxy {
				v.say(RestrictedProxy, r.ID.String())
			}
		case (r.Purpose == ledger.PurposeNone || r.Purpose == m.Purpose) && (r.Topic == "" || r.Topic == m.Topic):
			v.say(RestrictedUse, r.ID.String())
		}
	}
}

// confidential: 45 CFR 164.522(b). It binds notices too: a notice to the wrong place tells as much.
func confidential(f *Facts, v *verdict) {
	for _, c := range f.Confidential {
		ref := c.ID.String()
		switch {
		case c.PostOnly:
			v.say(ConfidentialPost, ref)
		case c.Channel != 0 && c.Channel != f.Message.Channel:
			v.say(ConfidentialChannel, ref)
		case !c.Contact.IsZero() && c.Contact != f.Recipient.Contact:
			v.say(ConfidentialAddress, ref)
		case c.Means != "" && f.Message.Purpose != ledger.PurposeService:
			v.d.Demanded = true
			v.limit(ConfidentialMeans, ref, only(c.Means))
		default:
			v.say(ConfidentialHonoured, ref)
		}
	}
}

// sensitive: classes that Part 2, HIPAA and state laws protect more.
func sensitive(f *Facts, v *verdict) {
	for _, class := range f.Message.Sensitive {
		v.d.PHI = true
		v.allowed &^= setPlain
		switch class {
		case SensitivePsychotherapy:
			v.say(PsychotherapyNotes, "")
		case SensitiveCounselling:
			v.say(CounsellingNotes, "")
		case SensitivePart2:
			part2(f, v)
		case SensitiveMental, SensitiveHIV, SensitiveGenetic, SensitiveReproductive, SensitiveMinorConsent:
			fallthrough
		default:
			if class == SensitiveMinorConsent && f.Recipient.Holder == HolderProxy {
				v.say(MinorsOwnCare, "")
			}
			if f.Policy.SensitiveTLS {
				v.say(SensitiveAccepted, string(class))
			} else {
				v.limit(SensitiveProtected, string(class), setStrong)
			}
		}
	}
	private(f, v)
}

// part2: 42 CFR 2.23 lets the patient be told without consent; anybody else needs one, and the notice of 2.32 with it.
func part2(f *Facts, v *verdict) {
	r := &f.Recipient
	if r.Kind == RecipientCorrespondent || r.Holder != HolderPerson {
		found := false
		for _, c := range f.Part2Consents {
			if !c.Revoked && c.Holder == r.Holder && (c.Expires == 0 || v.today <= c.Expires) {
				v.say(Part2Consented, c.ID.String())
				found = true
				break
			}
		}
		switch {
		case !found:
			v.say(Part2NoConsent, "")
		case !f.Message.Elements.Part2Notice:
			v.say(Part2NoNotice, "")
		}
	}
	v.limit(Part2Protected, "", setStrong)
}

// private: a text is read by every carrier on its way.
func private(f *Facts, v *verdict) {
	if f.Message.Channel != people.ChannelPhone {
		return
	}
	if v.allowed &= setText; v.d.PHI {
		v.say(TextNotPrivate, "")
	}
}

// carrier: whoever carries health information for us is a business associate, sealed or not: 45 CFR 164.308(b), 164.502(e).
// A receiving server is not: it is the recipient's.
func carrier(f *Facts, v *verdict) {
	c := &f.Carrier
	if !c.Needed || !v.d.PHI {
		return
	}
	if !c.Covered {
		v.say(CarrierUncovered, "")
		return
	}
	v.d.Agreement = c.Agreement
	v.say(CarrierCovered, c.Agreement.String())
}

// material: approval of the text by those who must give it.
func material(f *Facts, v *verdict) {
	m := &f.Message.Material
	if m.Required {
		switch {
		case !m.Approved:
			v.say(MaterialUnapproved, m.ID)
		case m.Changed:
			v.say(MaterialChanged, m.ID)
		case !m.From.IsZero() && f.Now.Before(m.From), !m.To.IsZero() && !f.Now.Before(m.To):
			v.say(MaterialOutside, m.ID)
		}
	}
	if m.Translated && !m.TranslationChecked {
		v.say(TranslationUnchecked, m.ID)
	}
}

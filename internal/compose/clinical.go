package compose

import (
	"regexp"
	"strings"
	"unicode"
)

// conditions are words that say something about health when they stand in a subject, English and Spanish. The list is ours: common
// words, no terminology. It errs to the careful side, and what it finds in fixed text is a warning only.
var conditions = wordSet(`
abortion aborto addiction adicción aids sida alcoholism alcoholismo allergy allergies alergia alzheimer anemia aneurysm anorexia anxiety
ansiedad arrhythmia arritmia arthritis artritis asthma asma autism autismo biopsy biopsia bipolar bulimia cancer cáncer carcinoma cardiac
cataract catarata chemotherapy quimioterapia chlamydia clamidia cholesterol colesterol cirrhosis cirrosis colitis colonoscopy colonoscopia
concussion contraception anticonceptivo copd epoc covid crohn dementia demencia depression depresión dermatitis diabetes diabetic diabético
diabética diagnosis diagnóstico dialysis diálisis eczema embolism emphysema endometriosis epilepsy epilepsia fibromyalgia fracture fractura
glaucoma gonorrhea gonorrea gout gota hemodialysis hemophilia hepatitis hernia herpes hiv vih hpv vph hypertension hipertensión
hypothyroidism infertility infertilidad influenza insomnia insomnio insulin insulina leukemia leucemia lupus lymphoma linfoma mammogram
mamografía melanoma menopause menopausia meningitis migraine migraña miscarriage obesity obesidad oncology oncología osteoporosis
overdose sobredosis pap parkinson pneumonia neumonía pregnancy pregnant embarazo embarazada prostate próstata psoriasis psychiatric
psiquiatría ptsd rehab schizophrenia esquizofrenia sclerosis esclerosis seizure sepsis std sti stroke suicidal suicide suicidio syphilis
sífilis thrombosis trombosis tuberculosis tumor ulcer úlcera uti vasectomy vasectomía
`)

var drugs = wordSet(`
acetaminophen adderall albuterol allopurinol amoxicillin antabuse aspirin ativan azithromycin buprenorphine bupropion buspirone celexa
cephalexin cialis cipro clonidine clozapine cymbalta depakote digoxin duloxetine eliquis escitalopram farxiga fentanyl finasteride
furosemide gabapentin glipizide humira hydrochlorothiazide hydrocodone hydroxychloroquine ibuprofen januvia jardiance keppra klonopin
lamotrigine lantus letrozole levothyroxine lexapro lipitor lithium litio lyrica metformin metformina methadone metadona methotrexate
mifepristone misoprostol mounjaro naloxone naltrexone narcan novolog oxycodone ozempic paxil paxlovid plaquenil prednisone prednisona prep
pregabalin prozac remicade risperidone ritalin seroquel sertraline sildenafil spironolactone suboxone synthroid tamoxifen topiramate tramadol
trazodone trulicity truvada ventolin viagra vivitrol vyvanse warfarin wegovy wellbutrin xanax xarelto zepbound zoloft zyprexa
`)

// stems are the endings by which the WHO names substances (INN), long enough not to meet everyday words.
var stems = []string{
	"statin", "sartan", "prazole", "gliptin", "gliflozin", "glutide", "tinib", "ciclib", "parib", "zumab", "tuzumab", "limumab", "cillin", "floxacin",
	"mycin", "cycline", "conazole", "oxetine", "triptyline", "azepam", "zolam", "dronate", "thiazide", "dipine", "lukast", "setron", "triptan", "tegravir",
	"buvir", "ciclovir", "profen", "olol", "pril", "formin", "grel", "xaban", "gatran", "apine", "piprazole",
}

// everyday words that end in a stem all the same.
var everyday = wordSet(`april carpool`)

var diagnosisCode = regexp.MustCompile(`\b[A-TV-Z][0-9][0-9A-Z]\.[0-9A-Z]{1,4}\b`) // the form of an ICD-10-CM code

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

// clinicalWords lists the words of a line that say something about health, in lower case.
func clinicalWords(line string) []string {
	var out []string
	for _, w := range wordsOf(line) {
		if conditions[w] || drugs[w] || stemmed(w) {
			out = append(out, w)
		}
	}
	for _, code := range diagnosisCode.FindAllString(line, -1) {
		out = append(out, strings.ToLower(code))
	}
	return out
}

func wordsOf(line string) []string {
	return strings.FieldsFunc(strings.ToLower(line), func(r rune) bool { return !unicode.IsLetter(r) })
}

func stemmed(w string) bool {
	const shortest = 7
	if len(w) < shortest || everyday[w] {
		return false
	}
	for _, s := range stems {
		if strings.HasSuffix(w, s) {
			return true
		}
	}
	return false
}

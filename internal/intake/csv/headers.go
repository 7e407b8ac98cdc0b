package csv

import "strings"

// headers are the names of columns that are known, as plainHeader gives them, and what they are. Names of columns are facts of the
// programs that write them.
var headers = func() map[string]Column {
	all := map[string]Column{}
	add := func(c Column, names string) {
		for n := range strings.FieldsSeq(names) {
			all[n] = c
		}
	}
	mrn := Column{Field: fieldIdentifier, System: SourceSystem, Type: "MR"}
	add(mrn, "mrn medicalrecordnumber medicalrecordno medrecno medicalrecord chartnumber chartno chart patientmrn patientacctno patientaccountnumber patientaccountno acctno accountno emrid ehrid epicmrn empi")
	add(Column{Field: fieldKey}, "id patientid patid contactid recordid recordidcontact externalid externalpatientid uuid subscriberid personid userid customerid patientnumber enterpriseid")
	add(Column{Field: fieldName}, "name fullname patientname patient ptname ptnamelastfirst displayname contactname patientfullname")
	add(Column{Field: fieldFamily}, "lastname last lname surname familyname patientlastname ptlastname family")
	add(Column{Field: fieldGiven}, "firstname first fname givenname patientfirstname ptfirstname given preferredfirstname")
	add(Column{Field: fieldMiddle}, "middlename middle middleinitial mi patientmiddlename patientmiddleinitial")
	add(Column{Field: fieldPrefix}, "prefix salutation")
	add(Column{Field: fieldSuffix}, "suffix namesuffix")
	add(Column{Field: fieldBirth}, "dob birthdate dateofbirth birthday patientdob patientbirthdate patientdateofbirth bday birthdt")
	add(Column{Field: fieldSex}, "sex gender patientsex patientgender administrativesex sexatbirth")
	add(Column{Field: fieldSex}, "legalsex")
	add(Column{Field: fieldLanguage, Values: nil}, "language preflanguage preferredlanguage lang patientlanguage prefersspokenlanguage primarylanguage locale")
	add(Column{Field: fieldZone}, "timezone tz")
	add(Column{Field: fieldDeceased}, "deceased isdeceased deceasedyn patientdeceased deceasedflag")
	add(Column{Field: fieldDied}, "deathdate dateofdeath deceaseddate dod")
	email := Column{Field: fieldEmail, Split: ";"}
	add(email, "email emailaddress mail eaddress patientemail patientemailaddress emailaddr primaryemail email1 alternateemails emailid")
	phone := func(use string) Column { return Column{Field: fieldPhone, Use: use, Split: ";"} }
	add(phone("mobile"), "mobile mobilephone cell cellphone mobilephonenumber mobilenumber patientmobile patientmobileno cellphonenumber mobileno patientcellphone sms")
	add(phone("home"), "homephone patienthomephone homephonenumber homenumber hphone")
	add(phone("work"), "workphone patientworkphone workphonenumber businessphone")
	add(phone(""), "phone phonenumber telephone tel patientphone patientphonenumber primaryphone contactphone phone1")
	add(Column{Field: fieldLine}, "address address1 addressline1 street streetaddress patientaddress patientaddress1 addr1 addressline mailingaddress")
	add(Column{Field: fieldLine}, "address2 addressline2 street2 patientaddress2 addr2 apt")
	add(Column{Field: fieldCity}, "city town patientcity")
	add(Column{Field: fieldState}, "state stateregion stateprovinceregion province region patientstate statecode")
	add(Column{Field: fieldPostal}, "zip zipcode postalcode postcode zippostalcode patientzip patientzipcode zip5")
	add(Column{Field: fieldCountry}, "country countrycode cc countryregion")
	add(Column{Field: fieldUpdated}, "lastupdated updatedat lastmodified lastmodifieddate lastchanged updated modified")
	return all
}()

// reports are columns of patient lists that state a fact beside the person: where they go when they are there.
var reports = []struct {
	header string
	column Column
	fact   Fact
}{
	{"lastvisitdate", Column{Field: fieldStart, In: "last visit"}, Fact{Name: "last visit", Kind: "encounter", State: "completed", Class: "AMB"}},
	{"lastvisit", Column{Field: fieldStart, In: "last visit"}, Fact{Name: "last visit", Kind: "encounter", State: "completed", Class: "AMB"}},
	{"lastapptdate", Column{Field: fieldStart, In: "last visit"}, Fact{Name: "last visit", Kind: "encounter", State: "completed", Class: "AMB"}},
	{"lastofficevisit", Column{Field: fieldStart, In: "last visit"}, Fact{Name: "last visit", Kind: "encounter", State: "completed", Class: "AMB"}},
	{"nextapptdate", Column{Field: fieldStart, In: "next appointment"}, Fact{Name: "next appointment", Kind: "appointment", State: "booked"}},
	{"nextappointment", Column{Field: fieldStart, In: "next appointment"}, Fact{Name: "next appointment", Kind: "appointment", State: "booked"}},
	{"nextappointmentdate", Column{Field: fieldStart, In: "next appointment"}, Fact{Name: "next appointment", Kind: "appointment", State: "booked"}},
	{"apptstatus", Column{Field: fieldStatus, In: "next appointment"}, Fact{Name: "next appointment", Kind: "appointment", State: "booked"}},
	{"activedx", Column{Field: fieldCode, In: "active conditions", Split: ";"}, Fact{Name: "active conditions", Kind: "condition", State: "active", System: "icd10cm"}},
	{"dx", Column{Field: fieldCode, In: "active conditions", Split: ","}, Fact{Name: "active conditions", Kind: "condition", State: "active", System: "icd10cm"}},
	{"diagnoses", Column{Field: fieldCode, In: "active conditions", Split: ";"}, Fact{Name: "active conditions", Kind: "condition", State: "active", System: "icd10cm"}},
	{"problemlist", Column{Field: fieldCode, In: "active conditions", Split: ";"}, Fact{Name: "active conditions", Kind: "condition", State: "active", System: "icd10cm"}},
	{"insurance", Column{Field: fieldPayor, In: "insurance"}, Fact{Name: "insurance", Kind: "coverage", State: "active"}},
	{"primaryinsurance", Column{Field: fieldPayor, In: "insurance"}, Fact{Name: "insurance", Kind: "coverage", State: "active"}},
	{"payer", Column{Field: fieldPayor, In: "insurance"}, Fact{Name: "insurance", Kind: "coverage", State: "active"}},
	{"primarypayer", Column{Field: fieldPayor, In: "insurance"}, Fact{Name: "insurance", Kind: "coverage", State: "active"}},
}

// forbidden are columns of numbers that may not be kept: 45 CFR 164.502(b).
var forbidden = map[string]bool{
	"ssn": true, "socialsecuritynumber": true, "socialsecurity": true, "socialsecurityno": true, "ssnlast4": true, "patientssn": true, "ss": true, "itin": true, "taxid": true,
	"drivers": true, "driverslicense": true, "driverlicense": true, "driverslicensenumber": true, "dl": true, "dlnumber": true,
	"passport": true, "passportnumber": true, "creditcard": true, "cardnumber": true, "accountpassword": true, "password": true,
}

func forbiddenHeader(header string) bool {
	plain := plainHeader(header)
	return forbidden[plain] || strings.HasPrefix(plain, "ssn") || strings.HasSuffix(plain, "ssn") || strings.Contains(plain, "socialsecurity")
}

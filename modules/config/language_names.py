"""Other codes and names of Whisper's languages. Written by ``docs/write_languages.py``.

From the Unicode CLDR (https://cldr.unicode.org): ISO 639-2, 639-3 and deprecated codes, then names
in English, in Russian and in the language itself. Copyright Unicode, Inc., under the Unicode
License (https://www.unicode.org/license.txt).
"""

#: By Whisper's code; separated by ``|``.
NAMES: dict[str, str] = {
    "en": (
        "eng|English|Australian English|Canadian English|British English|"
        "American English|английский|австралийский английский|канадский английский|"
        "британский английский|американский английский"
    ),
    "zh": (
        "chi|cmn|zho|Chinese|Simplified Chinese|Traditional Chinese|китайский|"
        "китайский, упрощенное письмо|китайский, традиционное письмо|中文"
    ),
    "de": (
        "deu|ger|German|Austrian German|Swiss High German|немецкий|"
        "австрийский немецкий|литературный швейцарский немецкий|Deutsch"
    ),
    "es": (
        "spa|Spanish|Latin American Spanish|European Spanish|Mexican Spanish|испанский|"
        "латиноамериканский испанский|европейский испанский|мексиканский испанский|español"
    ),
    "ru": "rus|Russian|русский",
    "ko": "kor|Korean|корейский|한국어",
    "fr": (
        "fra|fre|French|Canadian French|Swiss French|французский|канадский французский|"
        "швейцарский французский|français"
    ),
    "ja": "jpn|Japanese|японский|日本語",
    "pt": (
        "por|Portuguese|Brazilian Portuguese|European Portuguese|португальский|"
        "бразильский португальский|европейский португальский|português"
    ),
    "tr": "tur|Turkish|турецкий|Türkçe",
    "pl": "pol|Polish|польский|polski",
    "ca": "cat|Catalan|каталанский|català",
    "nl": "dut|nld|Dutch|Flemish|нидерландский|фламандский|Nederlands",
    "ar": "ara|arb|Arabic|Modern Standard Arabic|арабский|арабский литературный|العربية",
    "sv": "swe|Swedish|шведский|svenska",
    "it": "ita|Italian|итальянский|italiano",
    "id": "in|ind|Indonesian|индонезийский|Indonesia",
    "hi": "hin|Hindi|Hindi (Latin)|хинди|хинглиш|हिन्दी",
    "fi": "fin|Finnish|финский|suomi",
    "vi": "vie|Vietnamese|вьетнамский|Tiếng Việt",
    "he": "iw|heb|Hebrew|иврит|עברית",
    "uk": "ukr|Ukrainian|украинский|українська",
    "el": "ell|gre|Greek|греческий|Ελληνικά",
    "ms": "may|msa|zsm|Malay|малайский|Melayu",
    "cs": "ces|cze|Czech|чешский|čeština",
    "ro": "mo|mol|ron|rum|Romanian|Moldavian|румынский|молдавский|română",
    "da": "dan|Danish|датский|dansk",
    "hu": "hun|Hungarian|венгерский|magyar",
    "ta": "tam|Tamil|тамильский|தமிழ்",
    "no": "nb|nob|nor|Norwegian Bokmål|Norwegian|норвежский букмол|норвежский|norsk bokmål|norsk",
    "th": "tha|Thai|тайский|ไทย",
    "ur": "urd|Urdu|урду|اردو",
    "hr": "hrv|scr|Croatian|хорватский|hrvatski",
    "bg": "bul|Bulgarian|болгарский|български",
    "lt": "lit|Lithuanian|литовский|lietuvių",
    "la": "lat|Latin|латинский|Latina",
    "mi": "mao|mri|Māori|маори",
    "ml": "mal|Malayalam|малаялам|മലയാളം",
    "cy": "cym|wel|Welsh|валлийский|Cymraeg",
    "sk": "slk|slo|Slovak|словацкий|slovenčina",
    "te": "tel|Telugu|телугу|తెలుగు",
    "fa": "drw|fas|per|pes|prs|tnf|Persian|Dari|персидский|дари|فارسی",
    "lv": "lav|lvs|Latvian|латышский|latviešu",
    "bn": "ben|Bangla|бенгальский|বাংলা",
    "sr": "sh|cnr|hbs|scc|srp|Serbian|Montenegrin|сербский|српски",
    "az": "aze|azj|Azerbaijani|азербайджанский|azərbaycan",
    "sl": "slv|Slovenian|словенский|slovenščina",
    "kn": "kan|Kannada|каннада|ಕನ್ನಡ",
    "et": "ekk|est|Estonian|эстонский|eesti",
    "mk": "mac|mkd|Macedonian|македонский|македонски",
    "br": "bre|Breton|бретонский|brezhoneg",
    "eu": "baq|eus|Basque|баскский|euskara",
    "is": "ice|isl|Icelandic|исландский|íslenska",
    "hy": "arm|hye|Armenian|армянский|հայերեն",
    "ne": "nep|npi|Nepali|непальский|नेपाली",
    "mn": "drh|khk|mon|Mongolian|монгольский|монгол",
    "bs": "bos|Bosnian|боснийский|bosanski",
    "kk": "kaz|Kazakh|казахский|қазақ тілі",
    "sq": "alb|als|sqi|Albanian|албанский|shqip",
    "sw": "swa|swc|swh|Swahili|Congo Swahili|суахили|конголезский суахили|Kiswahili",
    "gl": "glg|Galician|галисийский|galego",
    "mr": "mar|Marathi|маратхи|मराठी",
    "pa": "pan|Punjabi|панджаби|ਪੰਜਾਬੀ",
    "si": "sin|Sinhala|сингальский|සිංහල",
    "km": "khm|Khmer|кхмерский|ខ្មែរ",
    "sn": "sna|Shona|шона|chiShona",
    "yo": "yor|Yoruba|йоруба|Èdè Yorùbá",
    "so": "som|Somali|сомали|Soomaali",
    "af": "afr|Afrikaans|африкаанс",
    "oc": "oci|Occitan|окситанский|occitan",
    "ka": "geo|kat|Georgian|грузинский|ქართული",
    "be": "bel|Belarusian|белорусский|беларуская",
    "tg": "tgk|Tajik|таджикский|тоҷикӣ",
    "sd": "snd|Sindhi|синдхи|سنڌي",
    "gu": "guj|prp|Gujarati|гуджарати|ગુજરાતી",
    "am": "amh|Amharic|амхарский|አማርኛ",
    "yi": "ji|ydd|yid|Yiddish|идиш|ייִדיש",
    "lo": "lao|Lao|лаосский|ລາວ",
    "uz": "uzb|uzn|Uzbek|узбекский|o‘zbek",
    "fo": "fao|Faroese|фарерский|føroyskt",
    "ht": "hat|Haitian Creole|гаитянский|Kreyòl Ayisyen",
    "ps": "pbu|pus|Pashto|пушту|پښتو",
    "tk": "tuk|Turkmen|туркменский|türkmen dili",
    "nn": "nno|Norwegian Nynorsk|нюнорск|norsk nynorsk",
    "mt": "mlt|Maltese|мальтийский|Malti",
    "sa": "cls|san|Sanskrit|санскрит|संस्कृत भाषा",
    "lb": "ltz|Luxembourgish|люксембургский|Lëtzebuergesch",
    "my": "bur|mya|Burmese|бирманский|မြန်မာ",
    "bo": "bod|tib|Tibetan|тибетский|བོད་སྐད་",
    "tl": "fil|tgl|Filipino|Tagalog|филиппинский|тагалог",
    "mg": "mlg|plt|Malagasy|малагасийский",
    "as": "asm|Assamese|ассамский|অসমীয়া",
    "tt": "tat|Tatar|татарский|татар",
    "haw": "Hawaiian|гавайский|ʻŌlelo Hawaiʻi",
    "ln": "lin|Lingala|лингала|lingála",
    "ha": "hau|Hausa|хауса",
    "ba": "bak|Bashkir|башкирский|башҡорт теле",
    "jw": "jv|jav|Javanese|яванский|Jawa",
    "su": "sun|Sundanese|сунданский|Basa Sunda",
    "yue": "Cantonese|кантонский|粵語",
}

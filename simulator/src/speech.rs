//! What people write back, by language. Accents, emoji, slashes and at-signs are in it on purpose: they are what breaks a
//! receiver that verifies a signature over re-serialised JSON.

use crate::identity::Language;

/// Ways to opt out; people who do so all mean the same.
pub(crate) const OPT_OUTS: [&str; 3] = ["STOP", "Stop", "stop"];

/// Short answers in a language.
pub(crate) fn answers(language: Language) -> &'static [&'static str] {
    match language {
        Language::English => &[
            "Yes please",
            "Is this still available?",
            "Thanks, got it 👍",
            "How much is delivery?",
            "What are your opening hours?",
            "Can you send it to me at home/office?",
            "ok",
            "Please write to me at dana@mail.example",
        ],
        Language::Spanish => {
            &["¡Sí, gracias!", "¿Sigue disponible?", "¿Cuánto cuesta el envío?", "Mañana paso por la tienda 🙌", "ok"]
        }
        Language::Portuguese => {
            &["Sim, por favor 😊", "Ainda está disponível?", "Qual é o preço?", "Obrigado!", "Até amanhã"]
        }
        Language::French => &["Oui, merci !", "C’est encore disponible ?", "Quel est le prix ?", "À bientôt 👋"],
        Language::German => &["Ja, gerne!", "Ist das noch verfügbar?", "Was kostet der Versand?", "Danke schön 🙏"],
        Language::Malay => &["Ya, saya berminat", "Masih ada lagi?", "Berapa harga?", "Terima kasih 🙏"],
        Language::Arabic => &["نعم من فضلك", "هل ما زال متوفراً؟", "كم السعر؟", "شكراً 🌹"],
        Language::Japanese => &["はい、お願いします", "まだありますか？", "ありがとうございます🙇", "いくらですか？"],
    }
}

/// `Accept-Language` of a person's browser.
pub(crate) fn accept_language(language: Language) -> &'static str {
    match language {
        Language::English => "en-GB,en;q=0.9",
        Language::Spanish => "es-MX,es;q=0.9,en;q=0.7",
        Language::Portuguese => "pt-BR,pt;q=0.9,en;q=0.7",
        Language::French => "fr-FR,fr;q=0.9,en;q=0.7",
        Language::German => "de-DE,de;q=0.9,en;q=0.7",
        Language::Malay => "ms-MY,ms;q=0.9,en;q=0.7",
        Language::Arabic => "ar,en;q=0.7",
        Language::Japanese => "ja-JP,ja;q=0.9,en;q=0.7",
    }
}

/// Names that people have on their profile.
pub(crate) const NAMES: [&str; 24] = [
    "Dana Okafor",
    "Inês Prado",
    "Mateo Ríos",
    "Aisha Rahman",
    "Jonas Köhler",
    "Camille Durand",
    "Sato Haruka",
    "ليلى حداد",
    "Kwame Mensah",
    "Linnéa Berg",
    "Priya Nair",
    "Tom O'Hara",
    "Zofia Wójcik",
    "Elif Yıldız",
    "Minh Trần",
    "Lucía 🌻",
    "B. van Dijk",
    "Giulia Conti",
    "Chen Wei",
    "Nurul Huda",
    "Pedro/Ana",
    "Grace Wanjiru",
    "Sam",
    "Farid Aziz",
];

import Testing

@testable import Observability

@Suite struct RedactionTests {
    private let redaction = Redaction.standard

    @Test(
        "keys that sound like a secret are hidden",
        arguments: [
            "password", "PASSWORD", "db_password", "dbPassword", "secret", "client-secret", "Authorization", "api_key",
            "apiKey", "X-API-Key", "token", "access_token", "Set-Cookie", "private.key", "credentials",
        ]
    )
    func hidden(key: String) {
        #expect(redaction.hides(key: key))
    }

    @Test("other keys are not", arguments: ["", "user", "key", "pass", "request_id", "author", "monkey", "api"])
    func shown(key: String) {
        #expect(!redaction.hides(key: key))
    }

    @Test(
        "passwords in URLs are masked and the rest is left",
        arguments: [
            ("redis://user:pw@host:6379/0", "redis://user:[redacted]@host:6379/0"),
            ("redis://:pw@host", "redis://:[redacted]@host"),
            ("x rediss://u:p@w@host y", "x rediss://u:[redacted]@host y"),
            ("postgres://u:p1@h1,postgres://v:p2@h2", "postgres://u:[redacted]@h1,postgres://v:[redacted]@h2"),
            ("postgres://u:pw@h1:1,h2:2/db?x=1", "postgres://u:[redacted]@h1:1,h2:2/db?x=1"),
            ("redis://:p/a?s#s@host/0", "redis://:[redacted]@host/0"),
            ("\"redis://u:pw@h\" <http://u:pw@h>", "\"redis://u:[redacted]@h\" <http://u:[redacted]@h>"),
            ("http://ü:pässwörd@h", "http://ü:[redacted]@h"),
        ]
    )
    func urls(text: String, cleaned: String) {
        #expect(redaction.cleaned(text) == cleaned)
    }

    @Test(
        "text without credentials stays as it is",
        arguments: [
            "", "plain", "a@b.c", "http://host:8080/users/@me", "http://[::1]:80/@x", "postgres://vireo@host/db",
            "http://host/?q=a:b@c", "://", "a://:", "x=y z=@", "12:30 @ noon", "http://u:@h",
        ]
    )
    func untouched(text: String) {
        #expect(redaction.cleaned(text) == text)
    }

    @Test(
        "assignments to a secret's name are masked",
        arguments: [
            ("host=h password=pw dbname=d", "host=h password=[redacted] dbname=d"),
            ("password = 'p w\\'x' host=h", "password = '[redacted]' host=h"),
            ("/v1?api_key=k&x=1", "/v1?api_key=[redacted]&x=1"),
            ("(token=t, n=1)", "(token=[redacted], n=1)"),
            ("sslpassword=\"open", "sslpassword=\"[redacted]"),
            ("postgres://h/d?user=u&password=pw", "postgres://h/d?user=u&password=[redacted]"),
            ("password=redis://u:pw@h", "password=[redacted]"),
            ("password=", "password="),
        ]
    )
    func assignments(text: String, cleaned: String) {
        #expect(redaction.cleaned(text) == cleaned)
    }

    @Test("hostile text takes linear time", arguments: ["://", "://:x/", "a=", "token= ", "=", " =", "://u:p@"])
    func linear(piece: String) {
        func time(_ count: Int) -> Duration {
            let text = String(repeating: piece, count: count) + " @ ="
            return ContinuousClock().measure { _ = redaction.cleaned(text) }
        }
        // Quadratic, four times the text would take sixteen times as long. The floor keeps a busy machine out of it.
        let short = max(time(2_000), .milliseconds(50))
        #expect(time(8_000) < short * 12)
    }

    @Test("a redaction of one's own hides its own words")
    func own() {
        let own = Redaction(hiding: ["IBAN", ""])
        #expect(own.hides(key: "iban_number"))
        #expect(!own.hides(key: "password"))
    }
}

import Postgres
import Testing

@Suite("PostgresConfiguration")
struct PostgresConfigurationTests {
    @Test("a URL that libpq cannot read is refused, and never quoted")
    func badURLs() {
        for url in ["host=localhost password=hidden", "", "redis://u:hidden@h/0"] {
            #expect(throws: PostgresConfigurationError.notAPostgresURL) { try PostgresConfiguration(url: url) }
        }
        for url in ["postgresql://u:hidden%zz@h/db", "postgresql://u:hidden@h/db?nonsense=1"] {
            #expect(throws: PostgresConfigurationError.malformedURL) { try PostgresConfiguration(url: url) }
        }
    }

    @Test("a description shows where, and never the password", arguments: ["postgres", "postgresql"])
    func description(scheme: String) throws {
        let configuration = try PostgresConfiguration(
            url: "\(scheme)://vireo:hidd%65n@db.example:5433/shop?sslmode=require"
        )
        #expect("\(configuration)" == "PostgresConfiguration(host=db.example port=5433 dbname=shop user=vireo)")
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in [dumped, String(reflecting: configuration)] { #expect(!text.contains("hidd")) }
    }
}

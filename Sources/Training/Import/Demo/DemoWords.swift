/// What titles and genres are made of.
enum DemoWords {
    static let genres = [
        "Adventure", "Animation", "Biography", "Comedy", "Cookery", "Crime", "Documentary", "Drama", "Family",
        "Fantasy",
        "History", "Horror", "Music", "Mystery", "Nature", "Romance", "Science Fiction", "Sport", "Thriller", "Travel",
    ]

    static let titleCount = adjectives.count * nouns.count

    /// The title of an item, "The Silent Harbour"; numbered once all have been given.
    static func title(_ first: Int, _ index: Int) -> String {
        // A prime that does not divide the number of titles: each comes up once before the first comes again.
        let place = (first + index % Self.titleCount * 1_657) % Self.titleCount
        let title = "The \(Self.adjectives[place / Self.nouns.count]) \(Self.nouns[place % Self.nouns.count])"
        let round = index / Self.titleCount
        return round == 0 ? title : "\(title) \(round + 1)"
    }

    private static let adjectives = [
        "Amber", "Ancient", "Autumn", "Bitter", "Blue", "Borrowed", "Bright", "Broken", "Burning", "Buried", "Careful",
        "Clockwork", "Copper", "Crooked", "Curious", "Distant", "Drifting", "Electric", "Empty", "Endless", "Faithful",
        "Fallen", "Final", "Forgotten", "Frozen", "Gentle", "Glass", "Golden", "Hidden", "Hollow", "Honest", "Hungry",
        "Invisible", "Iron", "Last", "Little", "Lonely", "Lost", "Lucky", "Midnight", "Modest", "Northern", "Paper",
        "Patient", "Quiet", "Restless", "Salted", "Scarlet", "Second", "Secret", "Silent", "Silver", "Sleeping",
        "Southern",
        "Stolen", "Sudden", "Tall", "Tender", "Unlikely", "Velvet", "Wandering", "Weathered", "Winter", "Wooden",
    ]

    private static let nouns = [
        "Anchor", "Apprentice", "Archive", "Atlas", "Balcony", "Bridge", "Cabin", "Captain", "Carnival", "Cartographer",
        "Cathedral", "Chorus", "Circus", "Coast", "Compass", "Conductor", "Courtyard", "Daughter", "Detective",
        "Doctor",
        "Engine", "Expedition", "Falcon", "Ferry", "Festival", "Forest", "Fountain", "Garden", "Gardener", "Harbour",
        "Horizon", "Hotel", "Island", "Journey", "Keeper", "Kingdom", "Ladder", "Lantern", "Letter", "Library",
        "Lighthouse", "Machine", "Meadow", "Messenger", "Mirror", "Mountain", "Museum", "Neighbour", "Ocean", "Orchard",
        "Orchestra", "Painter", "Passenger", "Piano", "Promise", "Railway", "River", "Shadow", "Station", "Storm",
        "Theatre", "Valley", "Violin", "Window",
    ]
}

@main struct Vireo { static func main() {} }

/// An owner of items, users, interactions, models and policies; nothing crosses from one to another.
public enum Tenant {
    /// The name of a tenant.
    public typealias ID = Identifier<Tenant>
}

extension Identifier where Entity == Tenant {
    /// The tenant of a call that names none.
    public static var `default`: Self { Self(trusted: "default") }

    /// The reserved tenant whose admin keys act on the whole fleet.
    public static var fleet: Self { Self(trusted: "_fleet") }
}

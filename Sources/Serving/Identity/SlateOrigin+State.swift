import RecommendationCore

extension TenantState {
    /// What the tokens of an answer by this state say.
    ///
    /// - Parameters:
    ///   - user: nil: it is nobody's.
    ///   - surface: Where it is shown: a surface, or the list's own name.
    ///   - variants: What it is of.
    func origin(_ user: User.ID?, surface: String, _ variants: [ExperimentVariant] = []) -> SlateOrigin {
        SlateOrigin(
            user: user ?? TokenSigner.nobody,
            model: self.model?.number ?? 0,
            surface: surface,
            policy: self.policy.version,
            variant: variants.isEmpty ? "" : variants.text
        )
    }
}

extension SlateOrigin {
    /// The same of another model; 0: of none.
    func of(model: ModelVersion.Number) -> SlateOrigin {
        var origin = self
        origin.model = model
        return origin
    }
}

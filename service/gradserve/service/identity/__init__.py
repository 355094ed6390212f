"""Who calls: certificates, tokens and the tokens of an OIDC issuer, and what each caller may cost."""

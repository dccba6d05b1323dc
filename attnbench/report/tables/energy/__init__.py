"""What tables say of energy beside its figures."""

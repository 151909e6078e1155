"""Password on stdin, SCRAM-SHA-256 verifier (RFC 5803) on stdout, so that SQL, which may be logged, has no password."""

import base64
import hashlib
import hmac
import secrets
import sys

# More rounds make guessing and each login more expensive. These passwords are 256 random bits, which nobody guesses.
ITERATIONS = 1


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """The verifier that PostgreSQL stores for an ASCII password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (
        base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client).digest(), server)
    )
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"


if __name__ == "__main__":
    print(verifier(sys.stdin.readline().rstrip("\n"), secrets.token_bytes(16)))

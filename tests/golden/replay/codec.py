"""Cases of mmpose's keypoint codecs: encoded, decoded, or both."""

from collections.abc import Mapping
from typing import Any

import fkit


def codec_case(cfg: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What fkit's codec makes of a case: ``encoded`` of keypoints, ``decoded`` of that or of a given map."""
    codec = fkit.registry().build("codecs", cfg["codec"], scope="mmpose")
    if "decode" in given:
        encoded = given["decode"]
        return {"decoded": codec.decode(*encoded) if isinstance(encoded, tuple) else codec.decode(encoded)}
    encoded = codec.encode(**given)
    out: dict[str, Any] = {"encoded": encoded}
    if cfg.get("roundtrip"):
        out["decoded"] = codec.decode(*(encoded[name] for name in codec.decoded_from))
    return out

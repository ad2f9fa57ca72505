"""Whether two modalities of one event agree, from their embeddings u (B, D_u) and v (B, D_v).

Each score is higher where they agree better, and none is a probability: it gets its meaning from
the conformal p-value of the source. By how much there is to learn from:

    shared_space      nothing: both come from one model (CLIP, SigLIP, CLAP, EmbeddingGemma 2)
    cca               a few hundred pairs: closed form
    contrastive       some thousands of pairs: InfoNCE heads, then the agreement head
"""

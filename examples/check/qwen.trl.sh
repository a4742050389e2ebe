#!/bin/bash
MODEL=Qwen/Qwen2.5-0.5B
trl sft --model_name_or_path "$MODEL" \
    --use_peft --lora_r 16 --lora_alpha 32 \
    --lora_target_modules "q_proj", "v_proj"
